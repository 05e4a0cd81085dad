"""The worker with a fault that only chaos brings to light: `python -m tests.forgetful_worker`.

Its requests have a new idempotency key each time, so that nobody knows one again that comes twice.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from orders import activities, worker
from orders.workflow import OrderInput

_ask = activities._ask  # noqa: SLF001 - the fault is planted there


async def forgetful(service: str, thing: str, order: OrderInput, key: str) -> Any:
    """As if no key had been given."""
    return await _ask(service, thing, order, key=f"{key}-{uuid.uuid4()}")


if __name__ == "__main__":
    activities._ask = forgetful  # noqa: SLF001 - see above
    asyncio.run(worker.main())

"""A worker with a bug that only a crash reveals: `python -m tests.forgetful_worker`.

Each of its requests has a new idempotency key, so no service can detect a repeated one.
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
    activities._ask = forgetful  # noqa: SLF001 - it replaces the function on purpose
    asyncio.run(worker.main())

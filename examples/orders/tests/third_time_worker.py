"""A worker with a bug that no single fault reveals: `python -m tests.third_time_worker`.

The third attempt of an activity asks with a key of its own, so it takes two faults in a row, one of
which comes after the service has done its work.
"""

from __future__ import annotations

import asyncio
from typing import Any

from orders import activities, worker
from orders.workflow import OrderInput
from temporalio import activity
from tests.third_time_workflow import Order

_ask = activities._ask  # noqa: SLF001 - the fault is planted there

THIRD = 3


async def forgetful(service: str, thing: str, order: OrderInput, key: str) -> Any:
    """As if somebody had meant to start over where it has failed twice."""
    attempt = activity.info().attempt
    own = f"{key}-{attempt}" if attempt >= THIRD else key
    return await _ask(service, thing, order, key=own)


if __name__ == "__main__":
    activities._ask = forgetful  # noqa: SLF001 - it replaces the function on purpose
    worker.VERSIONS["1"] = Order
    asyncio.run(worker.main())

"""Planted: the steps are in a set, whose order is another one in each process, so that a workflow
cannot be replayed by any worker but the one that began it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RawValue, RetryPolicy

with workflow.unsafe.imports_passed_through():
    from serve import serve

STEPS = {"check_stock", "charge_card", "print_label", "ship_parcel", "send_letter"}


@activity.defn(dynamic=True)
async def any_step(arguments: Sequence[RawValue]) -> str:
    await asyncio.sleep(0.2)
    return f"{activity.info().activity_type}, {len(arguments)}"


@workflow.defn
class Order:
    @workflow.run
    async def run(self, order: dict[str, Any]) -> int:
        for step in STEPS:
            await workflow.execute_activity(
                step,
                order,
                start_to_close_timeout=timedelta(seconds=2),
                retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=100)),
            )
        return len(STEPS)


if __name__ == "__main__":
    serve(Order, any_step)

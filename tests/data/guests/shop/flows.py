"""What the shop does: an order is packed; to pack a lamp takes a while at the first try."""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.api.common.v1 import WorkflowType
from temporalio.common import RetryPolicy, VersioningBehavior
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from sealed import Price

PACKING_SECONDS = 8.0
BEAT_SECONDS = 0.1


@activity.defn
async def pack(item: str) -> str:
    if item == "lamp" and activity.info().attempt == 1:
        for _ in range(int(PACKING_SECONDS / BEAT_SECONDS)):
            activity.heartbeat()
            await asyncio.sleep(BEAT_SECONDS)
    return f"packed {item}"


@workflow.defn
class Order:
    @workflow.run
    async def run(self, item: str, queue: str | None = None) -> str:
        return await workflow.execute_activity(
            pack,
            item,
            task_queue=queue,
            start_to_close_timeout=timedelta(seconds=30),
            heartbeat_timeout=timedelta(seconds=2),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=100)),
        )


@workflow.defn(versioning_behavior=VersioningBehavior.PINNED)
class VersionedOrder(Order):
    @workflow.run
    async def run(self, item: str, queue: str | None = None) -> str:
        return await super().run(item, queue)


@workflow.defn
class SealedOrder:
    """Gets and returns what only the project's own converter can read."""

    @workflow.run
    async def run(self, price: Price, picture: bytes, message: WorkflowType) -> Price:
        if message.name == "refused":
            raise ApplicationError(f"no {picture!r} for {price}")
        await workflow.execute_activity(
            pack,
            message.name,
            start_to_close_timeout=timedelta(seconds=30),
            heartbeat_timeout=timedelta(seconds=2),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=100)),
        )
        return Price(price * len(picture))

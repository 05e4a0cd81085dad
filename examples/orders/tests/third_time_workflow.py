"""The order with attempts so far apart that no fault of a few seconds meets two of them."""

from __future__ import annotations

from datetime import timedelta

from orders import workflow as sound
from orders.workflow import HEARTBEAT, OrderInput, Receipt
from temporalio import workflow
from temporalio.common import RetryPolicy

RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=7), backoff_coefficient=1, maximum_attempts=5
)


@workflow.defn
class Order(sound.Order):
    """One order."""

    @workflow.run
    async def run(self, order: OrderInput) -> Receipt:
        """As the sound one."""
        return await super().run(order)

    async def _do(self, activity: str, order: OrderInput) -> str:
        done: str = await workflow.execute_activity(
            activity,
            order,
            result_type=str,
            start_to_close_timeout=timedelta(minutes=1),
            heartbeat_timeout=HEARTBEAT,
            retry_policy=RETRY,
        )
        return done

"""The workflow: charge, ship, and pay back where nothing can be shipped."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

TASK_QUEUE = "orders"
HEARTBEAT = timedelta(seconds=15)
RETRY = RetryPolicy(initial_interval=timedelta(seconds=3), maximum_attempts=5)


@dataclass(frozen=True)
class OrderInput:
    """What a customer buys, and where it goes."""

    order_id: str
    amount_cents: int
    address: str


@dataclass(frozen=True)
class Receipt:
    """What the customer gets."""

    charge_id: str
    parcel_id: str


@workflow.defn
class Order:
    """One order."""

    @workflow.run
    async def run(self, order: OrderInput) -> Receipt:
        """Charge the card, then ship. Raises ApplicationError where nothing could be shipped."""
        charge_id = await self._do("charge_card", order)
        try:
            parcel_id = await self._do("ship_parcel", order)
        except ActivityError as error:
            await self._do("refund_card", order)
            raise ApplicationError("it could not be shipped, and was paid back") from error
        return Receipt(charge_id=charge_id, parcel_id=parcel_id)

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

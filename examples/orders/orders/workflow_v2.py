"""Version 2 of the order: it is checked for fraud when the card is charged, before it is shipped.

Orders that version 1 has begun go on as they began: `patched` asks whether this one has the check.
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from orders import workflow as version_1
from orders.workflow import OrderInput, Receipt

CHECKED = "orders are checked for fraud"


@workflow.defn
class Order(version_1.Order):
    """One order."""

    @workflow.run
    async def run(self, order: OrderInput) -> Receipt:
        """Charge the card, check the order, then ship. Raises ApplicationError where nothing could
        be shipped.
        """
        charge_id = await self._do("charge_card", order)
        try:
            if workflow.patched(CHECKED):
                await self._do("check_order", order)
            parcel_id = await self._do("ship_parcel", order)
        except ActivityError as error:
            await self._do("refund_card", order)
            raise ApplicationError("it could not be shipped, and was paid back") from error
        return Receipt(charge_id=charge_id, parcel_id=parcel_id)

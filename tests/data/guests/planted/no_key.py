"""Planted: each attempt has an idempotency key of its own, so a card may be charged twice."""

from __future__ import annotations

import os
import uuid
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    import httpx
    from serve import serve


@activity.defn
async def charge_card(order: dict[str, Any]) -> str:
    async with httpx.AsyncClient() as client:
        response = await client.post(
            f"{os.environ['PAYMENTS_URL']}/charges",
            json={"order_id": order["order_id"], "amount_cents": order["amount_cents"]},
            headers={"Idempotency-Key": str(uuid.uuid4())},
        )
    response.raise_for_status()
    return f"charged {order['amount_cents']}"


@workflow.defn
class Order:
    @workflow.run
    async def run(self, order: dict[str, Any]) -> str:
        return await workflow.execute_activity(
            charge_card,
            order,
            start_to_close_timeout=timedelta(seconds=4),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=100)),
        )


if __name__ == "__main__":
    serve(Order, charge_card)

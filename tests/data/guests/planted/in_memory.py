"""Planted: what one activity has found another one looks for in the worker's memory."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from serve import serve

DISCOUNTS: dict[str, int] = {}


@activity.defn
async def find_discount(order: dict[str, Any]) -> None:
    DISCOUNTS[order["order_id"]] = 500


@activity.defn
async def charge_card(order: dict[str, Any]) -> int:
    await asyncio.sleep(0.5)
    return int(order["amount_cents"]) - DISCOUNTS.get(order["order_id"], 0)


@workflow.defn
class Order:
    @workflow.run
    async def run(self, order: dict[str, Any]) -> int:
        options: Any = {
            "start_to_close_timeout": timedelta(seconds=2),
            "retry_policy": RetryPolicy(initial_interval=timedelta(milliseconds=100)),
        }
        await workflow.execute_activity(find_discount, order, **options)
        return await workflow.execute_activity(charge_card, order, **options)


if __name__ == "__main__":
    serve(Order, find_discount, charge_card)

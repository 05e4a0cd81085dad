"""Planted: an activity may take ten minutes and sends no heartbeat, so that for so long nobody
notices that its worker is gone.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    from serve import serve


@activity.defn
async def ship_parcel(order: dict[str, Any]) -> str:
    await asyncio.sleep(1)
    return f"shipped to {order['address']}"


@workflow.defn
class Order:
    @workflow.run
    async def run(self, order: dict[str, Any]) -> str:
        return await workflow.execute_activity(
            ship_parcel, order, start_to_close_timeout=timedelta(minutes=10)
        )


if __name__ == "__main__":
    serve(Order, ship_parcel)

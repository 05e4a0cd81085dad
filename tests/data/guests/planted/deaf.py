"""Planted: an activity swallows its cancellation, so that a workflow waits for it in vain.

The workflow gives a carrier five seconds, then cancels that call and tries anew. No call takes so
long unless a worker dies: then the second attempt is cancelled, and waits on, with heartbeats.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from serve import serve

PATIENCE_SECONDS = 5.0
ANSWER_SECONDS = 2.5


@activity.defn
async def ship_parcel(order: dict[str, Any]) -> str:
    answer = asyncio.create_task(asyncio.sleep(ANSWER_SECONDS))
    while True:
        try:
            activity.heartbeat()
            await asyncio.sleep(0.2)
        except asyncio.CancelledError:
            answer.cancel()  # and there it should end
        if answer.done() and not answer.cancelled():
            return f"shipped to {order['address']}"


@workflow.defn
class Order:
    @workflow.run
    async def run(self, order: dict[str, Any]) -> str:
        while True:
            shipping = workflow.start_activity(
                ship_parcel,
                order,
                start_to_close_timeout=timedelta(minutes=10),
                heartbeat_timeout=timedelta(seconds=3),
                retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=100)),
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            )
            await workflow.wait([shipping], timeout=PATIENCE_SECONDS)
            if not shipping.done():
                shipping.cancel()
            try:
                return await shipping
            except (ActivityError, asyncio.CancelledError):  # the latter if it was just answered
                continue


if __name__ == "__main__":
    serve(Order, ship_parcel)

"""`python worker.py`: a worker that pays, with a key or without one."""

import asyncio
import json
import os
import urllib.request
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.worker import Worker

START_TO_CLOSE = timedelta(seconds=2)


def _post(amount: int, headers: dict[str, str]) -> None:
    body = json.dumps({"amount": amount}).encode()
    url = os.environ["PAYMENTS_URL"] + "/charges"
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30):  # noqa: S310 - the test's
        pass


@activity.defn
async def charge(amount: int, key: str) -> None:
    await asyncio.to_thread(_post, amount, {"Idempotency-Key": key} if key else {})


@workflow.defn(sandboxed=False)
class Paying:
    """Charges so often, one after the other, each time the same."""

    @workflow.run
    async def run(self, key: str, times: int) -> None:
        for _ in range(times):
            await workflow.execute_activity(
                charge,
                args=[7, key],
                start_to_close_timeout=START_TO_CLOSE,
                retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=100)),
            )


async def main() -> None:
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    worker = Worker(
        client,
        task_queue="parcels",
        workflows=[Paying],
        activities=[charge],
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
    )
    await worker.run()


if __name__ == "__main__":
    asyncio.run(main())

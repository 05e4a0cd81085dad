"""`python worker.py`: a worker for all of it."""

import asyncio
import os
from datetime import timedelta

from flows import Carrying, Counter, Depot, Packing, carry, pack, weigh
from temporalio.client import Client
from temporalio.worker import Worker


async def main() -> None:
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    worker = Worker(
        client,
        task_queue="parcels",
        workflows=[Packing, Carrying, Counter, Depot],
        activities=[pack, weigh, carry],
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
        disable_eager_activity_execution="EAGER" not in os.environ,
    )
    await worker.run()


if __name__ == "__main__":
    asyncio.run(main())

import asyncio

from activities import deposit, withdraw
from shared import TASK_QUEUE
from temporalio.client import Client
from temporalio.worker import Worker
from workflows import MoneyTransfer


async def main() -> None:
    client = await Client.connect("localhost:7233", namespace="default")
    worker = Worker(
        client, task_queue=TASK_QUEUE, workflows=[MoneyTransfer], activities=[withdraw, deposit]
    )
    await worker.run()


if __name__ == "__main__":
    asyncio.run(main())

"""`python worker.py [workflow] [activity]`: a worker for these kinds of tasks."""

import asyncio
import os
import sys

from flows import Order, SealedOrder, VersionedOrder, pack
from sealed import CONVERTER
from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.worker import Worker, WorkerDeploymentConfig, WorkerDeploymentVersion


async def main(kinds: list[str]) -> None:
    client = await Client.connect(
        os.environ["TEMPORAL_ADDRESS"],
        namespace=os.environ["TEMPORAL_NAMESPACE"],
        identity=os.environ.get("IDENTITY"),
        data_converter=CONVERTER if "SEALED" in os.environ else DataConverter.default,
    )
    version = os.environ.get("VERSION")
    deployment = version and WorkerDeploymentConfig(
        version=WorkerDeploymentVersion("shop", version), use_worker_versioning=True
    )
    flows = [VersionedOrder] if version else [Order, SealedOrder]
    worker = Worker(
        client,
        task_queue=os.environ["TASK_QUEUE"],
        workflows=flows if "workflow" in kinds else [],
        activities=[pack] if "activity" in kinds else [],
        deployment_config=deployment or None,
    )
    print("open for business")
    await worker.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))

"""What all of these workers do: connect, and work until they are ended."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker


def serve(workflow: type, *activities: Callable[..., Any]) -> None:
    asyncio.run(_serve(workflow, activities))


async def _serve(workflow: type, activities: tuple[Callable[..., Any], ...]) -> None:
    client = await Client.connect(
        os.environ["TEMPORAL_ADDRESS"], namespace=os.environ["TEMPORAL_NAMESPACE"]
    )
    worker = Worker(
        client,
        task_queue=os.environ.get("TASK_QUEUE", "planted"),
        workflows=[workflow],
        activities=activities,
        # What a kill leads to shows soon: nothing waits for the sticky queue of a dead worker, and
        # a cancellation, which comes with a heartbeat's answer, does not wait for the next one.
        max_cached_workflows=0,
        max_heartbeat_throttle_interval=timedelta(milliseconds=200),
    )
    await worker.run()

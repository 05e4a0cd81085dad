"""A worker process of the system under test: `python -m workflows.worker`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from chaos.cluster.server import NAMESPACE
from chaos.process import Child

READY_DEADLINE_SECONDS = 30.0
WORKER_ARGV = (sys.executable, "-m", "workflows.worker")


@dataclass
class WorkerProcess:
    """A worker and the task queue where it can be seen to listen."""

    child: Child
    task_queue: str

    async def start(self, client: Client) -> None:
        """Start it and wait until the server sees it poll for both kinds of task."""
        await self.child.start_ready(
            lambda: self._polls(client),
            what=f"{self.child.name} polls {self.task_queue}",
            deadline_seconds=READY_DEADLINE_SECONDS,
        )

    async def _polls(self, client: Client) -> bool:
        kinds = (
            TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
            TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        )
        for kind in kinds:
            request = DescribeTaskQueueRequest(
                namespace=NAMESPACE,
                task_queue=TaskQueue(name=self.task_queue),
                task_queue_type=kind,
            )
            try:
                described = await client.workflow_service.describe_task_queue(
                    request, timeout=timedelta(seconds=1)
                )
            except RPCError:
                return False
            # The SDK's identity is pid@host.
            prefix = f"{self.child.pid}@"
            if not any(poller.identity.startswith(prefix) for poller in described.pollers):
                return False
        return True

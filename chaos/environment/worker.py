"""A worker process of a target, and how it is seen to be ready."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from temporalio.api.enums.v1 import DescribeTaskQueueMode, TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from chaos.process.child import Child

READY_DEADLINE_SECONDS = 30.0

_KINDS = (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)


@dataclass
class WorkerProcess:
    """A worker and the task queue where it can be seen to listen."""

    child: Child
    task_queue: str

    async def start(self, client: Client) -> None:
        """Start it and wait until the server sees it poll for both kinds of task."""
        await self.child.start_ready(
            lambda: polls(client, self.task_queue, self.child.pid),
            what=f"{self.child.name} polls {self.task_queue}",
            deadline_seconds=READY_DEADLINE_SECONDS,
        )


async def polls(client: Client, task_queue: str, pid: int) -> bool:
    """Whether the server sees a process poll a queue for both kinds of task."""
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=task_queue),
        # Of all partitions: the plain mode tells of the root's pollers only.
        api_mode=DescribeTaskQueueMode.DESCRIBE_TASK_QUEUE_MODE_ENHANCED,
        task_queue_types=_KINDS,
        report_pollers=True,
    )
    try:
        described = await client.workflow_service.describe_task_queue(
            request, timeout=timedelta(seconds=1)
        )
    except RPCError:
        return False
    prefix = f"{pid}@"  # the SDK's identity is pid@host
    return all(
        any(
            poller.identity.startswith(prefix)
            for version in described.versions_info.values()
            for poller in version.types_info[kind].pollers
        )
        for kind in _KINDS
    )

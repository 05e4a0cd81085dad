"""Measures the backlog of a case's task queues while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import DescribeTaskQueueMode, TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue, TaskQueueStats
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from chaos.evidence.samples import ADDED, BACKLOG, BACKLOG_AGE, DISPATCHED, Sample, SampleFile

EVERY_SECONDS = 0.5
"""Between two samples: a backlog of a second is seen, and a server is asked four times a second."""

_KINDS = {
    "workflow": TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    "activity": TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
}
_PATIENCE = timedelta(seconds=2)
_SAFELY = (RPCError, RuntimeError, ValueError)
"""What a server that is down, or too old to count, may raise."""


@dataclass(frozen=True)
class Queues:
    """The task queues of a stack, by the names that the target has for them."""

    client: Client
    prefix: str
    names: Callable[[], Sequence[str]]

    async def sample(self) -> Sequence[Sample]:
        """Their backlogs now. What the server does not tell is missing."""
        at = datetime.now(UTC)
        asked = [(name, kind) for name in self.names() for kind in _KINDS]
        told = await asyncio.gather(*(self._stats(name, kind) for name, kind in asked))
        return [
            Sample(at=at, name=what, value=value, labels={"task_queue": name, "kind": kind})
            for (name, kind), stats in zip(asked, told, strict=True)
            if stats is not None
            for what, value in _values(stats)
        ]

    async def _stats(self, name: str, kind: str) -> TaskQueueStats | None:
        """Of one queue and kind of task; None where the server does not answer or count."""
        queue = TaskQueue(name=f"{self.prefix}{name}")
        request = DescribeTaskQueueRequest(
            namespace=self.client.namespace,
            task_queue=queue,
            task_queue_type=_KINDS[kind],
            report_stats=True,
        )
        service = self.client.workflow_service
        try:
            answer = await service.describe_task_queue(request, timeout=_PATIENCE)
            if answer.HasField("stats"):
                return answer.stats
            # Servers before 1.28 count only for those who ask in this way, which newer ones drop.
            request.api_mode = DescribeTaskQueueMode.DESCRIBE_TASK_QUEUE_MODE_ENHANCED
            request.task_queue_types.append(_KINDS[kind])
            answer = await service.describe_task_queue(request, timeout=_PATIENCE)
        except _SAFELY:
            return None
        types = [version.types_info for version in answer.versions_info.values()]
        return _sum([told[_KINDS[kind]].stats for told in types if _KINDS[kind] in told])


def _sum(parts: Sequence[TaskQueueStats]) -> TaskQueueStats | None:
    """Of all versions of a queue; the oldest task of any is the oldest of all."""
    if not parts:
        return None
    oldest = max(parts, key=lambda stats: stats.approximate_backlog_age.ToTimedelta())
    return TaskQueueStats(
        approximate_backlog_count=sum(stats.approximate_backlog_count for stats in parts),
        approximate_backlog_age=oldest.approximate_backlog_age,
        tasks_add_rate=sum(stats.tasks_add_rate for stats in parts),
        tasks_dispatch_rate=sum(stats.tasks_dispatch_rate for stats in parts),
    )


def _values(stats: TaskQueueStats) -> Sequence[tuple[str, float]]:
    return (
        (BACKLOG, float(stats.approximate_backlog_count)),
        (BACKLOG_AGE, round(stats.approximate_backlog_age.ToTimedelta().total_seconds(), 3)),
        (ADDED, round(stats.tasks_add_rate, 3)),
        (DISPATCHED, round(stats.tasks_dispatch_rate, 3)),
    )


@asynccontextmanager
async def repeated(
    take: Callable[[], Awaitable[None]], every_seconds: float
) -> AsyncIterator[None]:
    """Measure at once, then so often, and once at the end of the block. A measure that fails is
    missing, and nothing else comes of it.
    """

    async def keep_taking() -> None:
        while True:
            await take()
            await asyncio.sleep(every_seconds)

    taking = asyncio.create_task(keep_taking())
    try:
        yield
    finally:
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        await asyncio.gather(take(), return_exceptions=True)


@asynccontextmanager
async def sampled(queues: Queues, file: SampleFile, every_seconds: float) -> AsyncIterator[None]:
    """Sample these queues within the block."""

    async def take() -> None:
        file.write(await queues.sample())

    async with repeated(take, every_seconds):
        yield

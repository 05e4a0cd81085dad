"""What an open workflow waited for when its case ended, by the server's description. The history
shows no attempt of an activity before it has closed, and only the first failure of a workflow task
that keeps failing. Only the server's description has the current state.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import AwareDatetime, BaseModel, ConfigDict
from temporalio.api.enums.v1 import (
    DescribeTaskQueueMode,
    PendingActivityState,
    PendingWorkflowTaskState,
    TaskQueueType,
)
from temporalio.api.failure.v1 import Failure
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflow.v1 import PendingActivityInfo, PendingWorkflowTaskInfo
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeWorkflowExecutionResponse,
)
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

_PATIENCE = timedelta(seconds=5)
_LONGEST = 500
"""Characters of a message: its beginning is enough."""

_STARTED = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
_ASKED_TO_STOP = PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED
_TASK_STARTED = PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_STARTED


class _Saved(BaseModel):
    model_config = ConfigDict(frozen=True)


class Queued(_Saved):
    """A task queue, and the last known poller for that kind of task, if any."""

    name: str
    polled_at: AwareDatetime | None = None
    polled_by: str = ""


class PendingActivity(_Saved):
    """An activity that is not closed. `attempt` is the one that runs or comes next.

    `started_at` is None while no worker has it; then it is in `queue` from `due_at` on. The last
    attempt `has_timed_out` by any of its timeouts.
    """

    activity_id: str
    kind: str
    attempt: int
    due_at: AwareDatetime | None = None
    started_at: AwareDatetime | None = None
    heartbeat_at: AwareDatetime | None = None
    worker: str = ""
    last_failure: str = ""
    has_timed_out: bool = False
    cancel_requested: bool = False
    queue: Queued | None = None


class PendingTask(_Saved):
    """A workflow task that is not done. `since` is when its first attempt was scheduled."""

    attempt: int
    since: AwareDatetime
    started_at: AwareDatetime | None = None
    queue: Queued | None = None


class PendingChild(_Saved):
    """A child workflow that has not ended."""

    workflow_id: str
    run_id: str
    kind: str


class Pending(_Saved):
    """Everything that an open workflow waited for, `at` that time, except timers, which are in its
    history.
    """

    at: AwareDatetime
    activities: tuple[PendingActivity, ...] = ()
    children: tuple[PendingChild, ...] = ()
    task: PendingTask | None = None

    def activity(self, activity_id: str) -> PendingActivity | None:
        """The one with that id."""
        return next((each for each in self.activities if each.activity_id == activity_id), None)


async def pending_of(client: Client, workflow_id: str, run_id: str = "") -> Pending | None:
    """What an open workflow waits for; None if it has ended or the server does not answer."""
    handle = client.get_workflow_handle(workflow_id, run_id=run_id or None)
    try:
        described = await handle.describe(rpc_timeout=_PATIENCE)
        if described.status is not WorkflowExecutionStatus.RUNNING:
            return None
        return await _pending(client, described.task_queue, described.raw_description)
    except RPCError:
        return None


async def _pending(client: Client, queue: str, raw: DescribeWorkflowExecutionResponse) -> Pending:
    task = raw.pending_workflow_task if raw.HasField("pending_workflow_task") else None
    return Pending(
        at=datetime.now(UTC),
        activities=tuple([await _activity(client, each) for each in raw.pending_activities]),
        children=tuple(
            PendingChild(
                workflow_id=each.workflow_id, run_id=each.run_id, kind=each.workflow_type_name
            )
            for each in raw.pending_children
        ),
        task=await _task(client, queue, task) if task else None,
    )


async def _activity(client: Client, info: PendingActivityInfo) -> PendingActivity:
    has_begun = info.state in {_STARTED, _ASKED_TO_STOP} and info.HasField("last_started_time")
    queue = info.activity_options.task_queue.name
    kind = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
    due = "next_attempt_schedule_time" if info.HasField("next_attempt_schedule_time") else ""
    return PendingActivity(
        activity_id=info.activity_id,
        kind=info.activity_type.name,
        attempt=info.attempt,
        due_at=_time(getattr(info, due or "scheduled_time")),
        started_at=_time(info.last_started_time) if has_begun else None,
        heartbeat_at=_time(info.last_heartbeat_time),
        worker=info.last_worker_identity if has_begun else "",
        last_failure=told(info.last_failure) if info.HasField("last_failure") else "",
        has_timed_out=info.last_failure.HasField("timeout_failure_info"),
        cancel_requested=info.state == _ASKED_TO_STOP,
        queue=await _queued(client, queue, kind) if queue and not has_begun else None,
    )


async def _task(client: Client, queue: str, info: PendingWorkflowTaskInfo) -> PendingTask:
    has_begun = info.state == _TASK_STARTED
    kind = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
    since = _time(info.original_scheduled_time) or _time(info.scheduled_time)
    return PendingTask(
        attempt=info.attempt,
        since=since or datetime.now(UTC),
        started_at=_time(info.started_time) if has_begun else None,
        queue=None if has_begun else await _queued(client, queue, kind),
    )


async def _queued(client: Client, name: str, kind: TaskQueueType.ValueType) -> Queued | None:
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=name),
        # Of all partitions: the plain mode tells of the root's pollers only.
        api_mode=DescribeTaskQueueMode.DESCRIBE_TASK_QUEUE_MODE_ENHANCED,
        task_queue_types=[kind],
        report_pollers=True,
    )
    try:
        found = await client.workflow_service.describe_task_queue(request, timeout=_PATIENCE)
    except RPCError:
        return None
    pollers: list[PollerInfo] = [
        poller
        for version in found.versions_info.values()
        for poller in version.types_info[kind].pollers
    ]
    last = max(pollers, key=lambda poller: poller.last_access_time.ToNanoseconds(), default=None)
    if last is None:
        return Queued(name=name)
    return Queued(name=name, polled_at=_time(last.last_access_time), polled_by=last.identity)


def _time(stamp: Timestamp) -> datetime | None:
    return stamp.ToDatetime(tzinfo=UTC) if stamp.ToNanoseconds() else None


def told(failure: Failure) -> str:
    """A failure and its causes in words: the type and the message of each."""
    found = []
    now: Failure | None = failure
    while now is not None:
        found.append(_one(now))
        now = now.cause if now.HasField("cause") else None
    text = ", caused by ".join(found)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _one(failure: Failure) -> str:
    message = " ".join(str(failure.message).split())
    if failure.HasField("application_failure_info"):
        return f"{failure.application_failure_info.type or 'ApplicationError'}: {message}"
    if failure.HasField("child_workflow_execution_failure_info"):
        child = failure.child_workflow_execution_failure_info.workflow_execution.workflow_id
        return f"{message} (child {child})"
    if failure.HasField("activity_failure_info"):
        return f"{message} ({failure.activity_failure_info.activity_type.name})"
    return message

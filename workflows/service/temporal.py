"""Calls to Temporal as this service makes them: short, and an outage is an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.enums.v1 import DescribeTaskQueueMode, TaskQueueType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.taskqueue.v1 import TaskQueue, TaskQueueVersionSelection
from temporalio.api.workflow.v1 import PendingActivityInfo, WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeWorkflowExecutionRequest,
    ListWorkflowExecutionsRequest,
)
from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowHistoryEventFilterType,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.common import RawValue
from temporalio.service import RPCError, RPCStatusCode

from workflows.models import Progress
from workflows.service.errors import Problem, unavailable

REQUEST_SECONDS = 5.0
"""How long a request to the service may wait for Temporal in all."""

RPC_TIMEOUT = timedelta(seconds=4)
"""Of one call. The SDK tries again within it where the server is away for a moment."""

QUERY_SECONDS = 2.0
"""How long a worker may take to tell of an operation; one that lives takes milliseconds."""

POLL_SECONDS = 70.0
"""How long ago a living worker last asked for work, at most: an idle one asks every 60 s."""

MAX_PROGRESS_BYTES = 1_000_000
"""Of a progress: that of the longest series has a third of it."""

LONGEST_REASON = 2_000
"""Characters of why a workflow ended that are shown."""

_KINDS = (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)
_NO_WORKER = frozenset(
    {RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED, RPCStatusCode.FAILED_PRECONDITION}
)

Handle = WorkflowHandle[object, object]


@dataclass(frozen=True)
class Execution:
    """A run, as Temporal describes it; `pending` are its activities that are not done yet.

    Not the SDK's own class: that cannot be made of a run in a state that it does not know, such as
    paused by an operator, and then a whole page of them cannot be had.
    """

    info: WorkflowExecutionInfo
    pending: Sequence[PendingActivityInfo] = ()

    @property
    def id(self) -> str:
        """Of the workflow: the operation's id."""
        return self.info.execution.workflow_id

    @property
    def run_id(self) -> str:
        """Of this run of it."""
        return self.info.execution.run_id

    @property
    def workflow_type(self) -> str:
        """The name of its type."""
        return self.info.type.name

    @property
    def started_at(self) -> datetime:
        """When this run began."""
        return self.info.start_time.ToDatetime(tzinfo=UTC)

    @property
    def closed_at(self) -> datetime | None:
        """When it ended; None before that."""
        has_ended = self.info.HasField("close_time")
        return self.info.close_time.ToDatetime(tzinfo=UTC) if has_ended else None


async def describe(client: Client, operation_id: str) -> Execution:
    """The newest run of a workflow."""
    described = await client.workflow_service.describe_workflow_execution(
        DescribeWorkflowExecutionRequest(
            namespace=client.namespace, execution=WorkflowExecution(workflow_id=operation_id)
        ),
        retry=True,
        timeout=RPC_TIMEOUT,
    )
    return Execution(described.workflow_execution_info, described.pending_activities)


async def list_page(
    client: Client, query: str, limit: int, position: bytes
) -> tuple[Sequence[Execution], bytes]:
    """Runs that a query finds, and the position of the next page; empty after the last."""
    page = await client.workflow_service.list_workflow_executions(
        ListWorkflowExecutionsRequest(
            namespace=client.namespace, query=query, page_size=limit, next_page_token=position
        ),
        retry=True,
        timeout=RPC_TIMEOUT,
    )
    return [Execution(info) for info in page.executions], page.next_page_token


@asynccontextmanager
async def answered() -> AsyncIterator[None]:
    """Around all calls of one request. Raises Problem, 503, where Temporal does not answer."""
    try:
        async with asyncio.timeout(REQUEST_SECONDS):
            yield
    except TimeoutError:
        raise unavailable(
            f"Temporal did not answer within {REQUEST_SECONDS:g} s; try again."
        ) from None
    except RPCError as error:
        raise _outage(error) from None
    except RuntimeError as error:
        if not str(error).startswith("Failed client connect"):
            raise
        raise unavailable("Temporal cannot be reached; start it, or try again.") from None


def is_absence(error: RPCError) -> bool:
    """Whether there is no such workflow, or none that still runs."""
    return error.status is RPCStatusCode.NOT_FOUND and not _of_namespace(error)


def _of_namespace(error: RPCError) -> bool:
    details = error.grpc_status.details
    return any(detail.type_url.endswith("NamespaceNotFoundFailure") for detail in details)


def _outage(error: RPCError) -> Problem:
    if _of_namespace(error):
        return unavailable("the Temporal namespace does not exist; correct TEMPORAL_NAMESPACE.")
    reason = error.status.name.replace("_", " ").lower()
    return unavailable(f"Temporal's answer is not usable ({reason}); try again.")


async def ask(client: Client, handle: Handle) -> Progress | str:
    """The progress as a worker tells it, or a sentence why none does."""
    try:
        async with asyncio.timeout(QUERY_SECONDS):
            answer: RawValue = await handle.query(
                "progress", result_type=RawValue, rpc_timeout=timedelta(seconds=QUERY_SECONDS)
            )
    except TimeoutError:
        return NO_WORKER_ANSWERS
    except (WorkflowQueryFailedError, WorkflowQueryRejectedError):
        return "the worker cannot report on this operation; see its log."
    except ValueError:  # rejected for a state that the SDK has no name for
        return "Temporal allows no query while the workflow is paused."
    except RPCError as error:
        if error.status in _NO_WORKER:
            return NO_WORKER_ANSWERS
        raise
    progress = await _progress(client, [answer.payload])
    return progress or "its worker's answer is not a progress report; another program runs it."


NO_WORKER_ANSWERS = "no worker answers; start one: python -m workflows.worker"


async def first_event(handle: Handle) -> HistoryEvent:
    """The event that holds what the workflow was given."""
    events = handle.fetch_history_events(page_size=1, rpc_timeout=RPC_TIMEOUT)
    return await anext(events)


async def close_event(handle: Handle) -> HistoryEvent:
    """The event that ended it."""
    events = handle.fetch_history_events(
        event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT, rpc_timeout=RPC_TIMEOUT
    )
    return await anext(events)


async def read(client: Client, payloads: Sequence[Payload], *kinds: type) -> list[object] | None:
    """What payloads hold; None where they are not as this system writes them.

    Whoever may use the namespace may have written them: in another encoding, encrypted, damaged.
    """
    try:
        return await client.data_converter.decode(payloads, list(kinds) or None)
    except Exception:  # noqa: BLE001 - each converter has its own errors, and none is told
        return None


async def progress_at_end(client: Client, event: HistoryEvent) -> Progress | str | None:
    """The progress that a workflow returned, or that its failure carries; None without either.

    A sentence where what it carries is none.
    """
    if event.HasField("workflow_execution_completed_event_attributes"):
        result = event.workflow_execution_completed_event_attributes.result
        progress = await _progress(client, result.payloads)
        return progress or "its result is not a progress report; another program ran it."
    if event.HasField("workflow_execution_failed_event_attributes"):
        failure = event.workflow_execution_failed_event_attributes.failure
        details = failure.application_failure_info.details.payloads
        if details:
            progress = await _progress(client, details)
            return progress or "its failure has no progress report; another program ran it."
    return None


async def _progress(client: Client, payloads: Sequence[Payload]) -> Progress | None:
    """The one progress that payloads hold; None where they hold anything else."""
    if len(payloads) != 1 or len(payloads[0].data) > MAX_PROGRESS_BYTES:
        return None
    found = await read(client, payloads, Progress)
    return found[0] if found and isinstance(found[0], Progress) else None


def bad_end(event: HistoryEvent) -> str | None:
    """What an end that was none of its own says, as a sentence; None after any other."""
    if event.HasField("workflow_execution_failed_event_attributes"):
        message = event.workflow_execution_failed_event_attributes.failure.message[:LONGEST_REASON]
        return f"It failed: {message.rstrip('.')}. Fix the cause, then restart it."
    if event.HasField("workflow_execution_terminated_event_attributes"):
        reason = event.workflow_execution_terminated_event_attributes.reason[:LONGEST_REASON]
        said = f" ({reason.rstrip('.')})" if reason else ""
        return f"It was terminated{said}. Restart it to continue with what was made."
    if event.HasField("workflow_execution_timed_out_event_attributes"):
        return "It timed out. Restart it to continue with what was made."
    return None


async def is_polled(client: Client, task_queue: str, now: float) -> bool:
    """Whether a worker lately asked for workflow tasks and one for activities, of those that would
    get an operation that starts now. `now`: epoch.
    """
    service, queue = client.workflow_service, TaskQueue(name=task_queue)
    routed = await service.describe_task_queue(
        DescribeTaskQueueRequest(namespace=client.namespace, task_queue=queue),
        retry=True,
        timeout=RPC_TIMEOUT,
    )
    current = routed.versioning_info.current_deployment_version
    described = await service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=queue,
            # Of all partitions: the plain mode tells of the root's pollers only.
            api_mode=DescribeTaskQueueMode.DESCRIBE_TASK_QUEUE_MODE_ENHANCED,
            task_queue_types=_KINDS,
            report_pollers=True,
            versions=TaskQueueVersionSelection(
                unversioned=not current.build_id,
                build_ids=_version_names(current),
            ),
        ),
        retry=True,
        timeout=RPC_TIMEOUT,
    )
    versions = described.versions_info.values()
    return all(
        any(
            now - poller.last_access_time.seconds <= POLL_SECONDS
            for version in versions
            for poller in version.types_info[kind].pollers
        )
        for kind in _KINDS
    )


def _version_names(version: WorkerDeploymentVersion) -> list[str]:
    """What a task queue calls a version of a worker deployment, if there is one."""
    return [f"{version.deployment_name}:{version.build_id}"] if version.build_id else []

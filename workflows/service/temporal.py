"""Calls to Temporal as this service makes them: short, and an outage is an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio.api.enums.v1 import DescribeTaskQueueMode, TaskQueueType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowHistoryEventFilterType,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.exceptions import ApplicationError
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

_KINDS = (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)
_NO_WORKER = frozenset(
    {RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED, RPCStatusCode.FAILED_PRECONDITION}
)

Handle = WorkflowHandle[object, object]


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
        return unavailable("the Temporal namespace does not exist; mend TEMPORAL_NAMESPACE.")
    reason = error.status.name.replace("_", " ").lower()
    return unavailable(f"Temporal does not answer as it should ({reason}); try again.")


async def ask(handle: Handle) -> Progress | str:
    """The progress as a worker tells it, or a sentence why none does."""
    try:
        async with asyncio.timeout(QUERY_SECONDS):
            answer: Progress = await handle.query(
                "progress", result_type=Progress, rpc_timeout=timedelta(seconds=QUERY_SECONDS)
            )
    except TimeoutError:
        return NO_WORKER_ANSWERS
    except (WorkflowQueryFailedError, WorkflowQueryRejectedError):
        return "the worker cannot tell of this operation; its log says why."
    except RPCError as error:
        if error.status in _NO_WORKER:
            return NO_WORKER_ANSWERS
        raise
    return answer


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


async def progress_at_end(client: Client, event: HistoryEvent) -> Progress | None:
    """The progress that a workflow returned, or that its failure carries; None without either."""
    converter = client.data_converter
    if event.HasField("workflow_execution_completed_event_attributes"):
        result = event.workflow_execution_completed_event_attributes.result
        (made,) = await converter.decode(result.payloads, [Progress])
        return Progress.model_validate(made)
    if event.HasField("workflow_execution_failed_event_attributes"):
        failure = event.workflow_execution_failed_event_attributes.failure
        error = await converter.decode_failure(failure)
        if isinstance(error, ApplicationError) and error.details:
            return Progress.model_validate(error.details[0])
    return None


def bad_end(event: HistoryEvent) -> str | None:
    """What an end that was none of its own says, as a sentence; None after any other."""
    if event.HasField("workflow_execution_failed_event_attributes"):
        message = event.workflow_execution_failed_event_attributes.failure.message
        return f"It failed: {message.rstrip('.')}. Mend the cause, then restart it."
    if event.HasField("workflow_execution_terminated_event_attributes"):
        reason = event.workflow_execution_terminated_event_attributes.reason
        said = f" ({reason.rstrip('.')})" if reason else ""
        return f"It was terminated{said}. Restart it to go on with what was made."
    if event.HasField("workflow_execution_timed_out_event_attributes"):
        return "It took longer than it may. Restart it to go on with what was made."
    return None


async def is_polled(client: Client, task_queue: str, now: float) -> bool:
    """Whether a worker lately asked for workflow tasks and one for activities. `now`: epoch."""
    described = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=task_queue),
            # Of all partitions: the plain mode tells of the root's pollers only.
            api_mode=DescribeTaskQueueMode.DESCRIBE_TASK_QUEUE_MODE_ENHANCED,
            task_queue_types=_KINDS,
            report_pollers=True,
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

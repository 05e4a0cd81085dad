"""What the server recorded of a workflow, read into plain values."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeVar, cast

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payload, RetryPolicy
from temporalio.api.enums.v1 import EventType, TaskQueueKind, TimeoutType, WorkflowTaskFailedCause
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionStartedEventAttributes
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter

from chaos.evidence.pending import Pending, PendingActivity, told

T = TypeVar("T")


WORKER_LOST = "WorkerLost"
"""The failure type by which a supervisor may fail an attempt after its worker has died."""


class Status(StrEnum):
    """The status of a workflow. `LOST`: the server has no history of it."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"
    CONTINUED_AS_NEW = "continued_as_new"
    LOST = "lost"


_CLOSING = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: Status.COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: Status.FAILED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: Status.CANCELED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: Status.TERMINATED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: Status.TIMED_OUT,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW: Status.CONTINUED_AS_NEW,
}
_ACTIVITY_CLOSING = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: "activity_task_completed_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: "activity_task_failed_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: "activity_task_timed_out_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: "activity_task_canceled_event_attributes",
}

_NOBODYS_FAULT = frozenset(
    {
        # What came in while the worker was about to end the workflow has to be seen first.
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FAILOVER_CLOSE_COMMAND,
    }
)
"""Causes for which the server itself fails a workflow task, whatever the workflow's code does."""


@dataclass(frozen=True)
class Activity:
    """One scheduled activity and its last attempt; earlier attempts leave no event. `failure` is
    how that one ended if it did not complete, `last_failure` how the one before it did. `left_at`
    is when its workflow's run ended without waiting for it. `pending` is the server's description
    of an open one, whose attempts are in no event yet.
    """

    kind: str
    scheduled_at: datetime
    retry_policy: RetryPolicy
    start_to_close_seconds: float
    schedule_to_close_seconds: float
    heartbeat_seconds: float
    started_at: datetime | None = None
    attempt: int = 0
    worker: str = ""
    last_failure: Failure | None = None
    closed_at: datetime | None = None
    completed: bool = False
    left_at: datetime | None = None
    activity_id: str = ""
    pending: PendingActivity | None = None
    failure: Failure | None = None

    @property
    def has_heartbeats(self) -> bool:
        """Whether a missing heartbeat reveals a dead worker before the attempt times out."""
        limit = self.start_to_close_seconds
        return bool(self.heartbeat_seconds) and not 0.0 < limit <= self.heartbeat_seconds

    @property
    def lost_its_heartbeat(self) -> bool:
        """Whether the attempt before the last one timed out by its heartbeat."""
        failure = self.last_failure
        return (
            failure is not None
            and failure.HasField("timeout_failure_info")
            and failure.timeout_failure_info.timeout_type == TimeoutType.TIMEOUT_TYPE_HEARTBEAT
        )


@dataclass(frozen=True)
class FailedTask:
    """A workflow task whose first attempt failed; later attempts leave no event."""

    at: datetime
    cause: str
    failure: str

    def __str__(self) -> str:
        return f"{self.cause}: {self.failure}" if self.failure else self.cause


@dataclass(frozen=True)
class Workflow:
    """The histories of one workflow id.

    Attributes:
        workflow_id: its id, without the prefix that the run added.
        runs: all its runs, the oldest first.
        converter: reads its payloads.
        pending: what it waited for when the case ended; None if it had ended or that is unknown.

    """

    workflow_id: str
    runs: Sequence[WorkflowHistory]
    converter: DataConverter = pydantic_data_converter
    pending: Pending | None = None

    @property
    def events(self) -> Iterator[HistoryEvent]:
        """The events of all runs, in order."""
        for run in self.runs:
            yield from run.events

    @property
    def last_event(self) -> HistoryEvent:
        """The newest event."""
        return self.runs[-1].events[-1]

    @property
    def status(self) -> Status:
        """The status of the newest run."""
        return _CLOSING.get(self.last_event.event_type, Status.RUNNING)

    @property
    def started_at(self) -> datetime:
        """When the first run began."""
        return time_of(self.runs[0].events[0])

    @property
    def closed_at(self) -> datetime | None:
        """When the newest run ended; None while it runs."""
        return None if self.status is Status.RUNNING else time_of(self.last_event)

    @property
    def task_seconds(self) -> float:
        """How long a workflow task of the newest run may take."""
        started = self.runs[-1].events[0].workflow_execution_started_event_attributes
        return started.workflow_task_timeout.ToTimedelta().total_seconds()

    @property
    def failure_message(self) -> str:
        """Why it failed; empty if it did not."""
        attributes = self.last_event.workflow_execution_failed_event_attributes
        return message_of(attributes.failure, self.converter)

    @property
    def failure_told(self) -> str:
        """Why it failed, with all causes; empty where it did not."""
        attributes = self.last_event.workflow_execution_failed_event_attributes
        return told(attributes.failure) if attributes.HasField("failure") else ""

    @property
    def kind(self) -> str:
        """Its type."""
        return str(self._first.workflow_type.name)

    @property
    def task_queue(self) -> str:
        """The task queue of its newest run."""
        attributes = self.runs[-1].events[0].workflow_execution_started_event_attributes
        return str(attributes.task_queue.name)

    @property
    def parent(self) -> tuple[str, str] | None:
        """The id and the run of the workflow that started it, where one did."""
        found = self._first.parent_workflow_execution
        return (found.workflow_id, found.run_id) if found.workflow_id else None

    @property
    def _first(self) -> WorkflowExecutionStartedEventAttributes:
        return self.runs[0].events[0].workflow_execution_started_event_attributes

    @property
    def failed_tasks(self) -> Sequence[FailedTask]:
        """The workflow tasks that failed, for a reason that is not the server's own."""
        return [found for event in self.events for found in _failed_task(event)]

    @property
    def failing(self) -> FailedTask | None:
        """The failed workflow task after which none was done in its newest run."""
        found: FailedTask | None = None
        for event in self.runs[-1].events:
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                found = None
            found = next(_failed_task(event), found)
        return found if self.status is Status.RUNNING else None

    @property
    def task_failures(self) -> int:
        """How many workflow tasks failed, for a reason that is not the server's own."""
        return len(self.failed_tasks)

    @property
    def is_task_sticky(self) -> bool:
        """Whether its newest workflow task waits for the worker that had the one before."""
        kind = EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED
        tasks = [event for event in self.runs[-1].events if event.event_type == kind]
        sticky = TaskQueueKind.TASK_QUEUE_KIND_STICKY
        return any(
            each.workflow_task_scheduled_event_attributes.task_queue.kind == sticky
            for each in tasks[-1:]
        )

    @property
    def timers(self) -> Sequence[datetime]:
        """When the open timers of its newest run are due, in order."""
        return sorted(_open_timers(self.runs[-1]))

    def result(self, kind: type[T]) -> T | None:
        """Its result, or the details of its failure; None if there is neither."""
        event = self.last_event
        completed = event.workflow_execution_completed_event_attributes.result.payloads
        info = event.workflow_execution_failed_event_attributes.failure.application_failure_info
        payloads: Sequence[Payload] = completed or info.details.payloads
        if not payloads:
            return None
        (made,) = waited_for(self.converter.decode(payloads[:1], [kind]))
        return cast("T", made)

    @cached_property
    def activities(self) -> tuple[Activity, ...]:
        """All scheduled activities, in order."""
        found = tuple(each for run in self.runs for each in _activities(run))
        return tuple(map(self._with_pending, found)) if self.pending else found

    def _with_pending(self, activity: Activity) -> Activity:
        if self.pending is None or activity.closed_at or activity.left_at:
            return activity
        return replace(activity, pending=self.pending.activity(activity.activity_id))


def message_of(failure: Failure, converter: DataConverter) -> str:
    """The message of a failure, which a converter may have encoded into a payload."""
    if not failure.HasField("encoded_attributes"):
        return str(failure.message)
    (attributes,) = waited_for(converter.decode([failure.encoded_attributes], [dict]))
    return str(attributes.get("message", failure.message))


def waited_for(decoding: Coroutine[Any, Any, T]) -> T:
    """The result of a converter's coroutine. A codec may do anything, so it gets a loop of its own,
    even where one runs already.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, decoding).result()


def _activities(run: WorkflowHistory) -> Iterator[Activity]:
    found: dict[int, Activity] = {}
    for event in run.events:
        at = time_of(event)
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            scheduled = event.activity_task_scheduled_event_attributes
            found[event.event_id] = Activity(
                kind=scheduled.activity_type.name,
                activity_id=scheduled.activity_id,
                scheduled_at=at,
                retry_policy=scheduled.retry_policy,
                start_to_close_seconds=scheduled.start_to_close_timeout.ToTimedelta().total_seconds(),
                schedule_to_close_seconds=scheduled.schedule_to_close_timeout.ToTimedelta().total_seconds(),
                heartbeat_seconds=scheduled.heartbeat_timeout.ToTimedelta().total_seconds(),
            )
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            started = event.activity_task_started_event_attributes
            failure = started.last_failure if started.HasField("last_failure") else None
            found[started.scheduled_event_id] = replace(
                found[started.scheduled_event_id],
                started_at=at,
                attempt=started.attempt,
                worker=started.identity,
                last_failure=failure,
            )
        elif event.event_type in _ACTIVITY_CLOSING:
            closed = getattr(event, _ACTIVITY_CLOSING[event.event_type])
            failure = getattr(closed, "failure", None)
            found[closed.scheduled_event_id] = replace(
                found[closed.scheduled_event_id],
                closed_at=at,
                completed=event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
                failure=failure,
            )
    left_at = time_of(run.events[-1]) if run.events[-1].event_type in _CLOSING else None
    for activity in found.values():
        yield activity if activity.closed_at else replace(activity, left_at=left_at)


def _failed_task(event: HistoryEvent) -> Iterator[FailedTask]:
    failed = event.workflow_task_failed_event_attributes
    is_failed = event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    if is_failed and failed.cause not in _NOBODYS_FAULT:
        # The SDK's own failures have no type, and are no ApplicationErrors of the workflow's.
        text = told(failed.failure).removeprefix("ApplicationError: ")
        yield FailedTask(time_of(event), _name_of(failed.cause), text)


def _open_timers(run: WorkflowHistory) -> Iterator[datetime]:
    over = {
        ended.started_event_id
        for event in run.events
        for ended in (event.timer_fired_event_attributes, event.timer_canceled_event_attributes)
        if ended.started_event_id
    }
    for event in run.events:
        if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED and event.event_id not in over:
            wait = event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
            yield time_of(event) + wait


def _name_of(cause: WorkflowTaskFailedCause.ValueType) -> str:
    """In the form of Temporal's own tools: `NonDeterministicError`."""
    try:
        name = WorkflowTaskFailedCause.Name(cause)
    except ValueError:  # of a server that is newer than the SDK
        return f"cause {int(cause)}"
    words = name.removeprefix("WORKFLOW_TASK_FAILED_CAUSE_").split("_")
    return "".join(word.capitalize() for word in words)


def time_of(event: HistoryEvent) -> datetime:
    """When the server recorded an event."""
    stamp: Timestamp = event.event_time
    return stamp.ToDatetime(tzinfo=UTC)

"""Temporal's own witness, read into plain values: what the server recorded of a workflow."""

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
from temporalio.api.enums.v1 import EventType, TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter

T = TypeVar("T")


WORKER_LOST = "WorkerLost"
"""The type of the failure by which a supervisor may fail an attempt whose worker it saw die."""


class Status(StrEnum):
    """How a workflow stands."""

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


@dataclass(frozen=True)
class Activity:
    """One scheduled activity and its last attempt; earlier attempts leave no event. `left_at` is
    when its workflow's run ended without waiting for it: it is nobody's from then on.
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

    @property
    def lost_its_heartbeat(self) -> bool:
        """Whether the attempt before the last one went silent."""
        failure = self.last_failure
        return (
            failure is not None
            and failure.HasField("timeout_failure_info")
            and failure.timeout_failure_info.timeout_type == TimeoutType.TIMEOUT_TYPE_HEARTBEAT
        )


@dataclass(frozen=True)
class Workflow:
    """All runs of one workflow id, oldest first. `converter` reads what is in them."""

    workflow_id: str
    runs: Sequence[WorkflowHistory]
    converter: DataConverter = pydantic_data_converter

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
        """How the newest run stands."""
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
    def failure_message(self) -> str:
        """Why it failed; empty where it did not."""
        attributes = self.last_event.workflow_execution_failed_event_attributes
        return message_of(attributes.failure, self.converter)

    @property
    def task_failures(self) -> int:
        """How many workflow tasks failed, for whatever reason."""
        kind = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
        return sum(event.event_type == kind for event in self.events)

    def result(self, kind: type[T]) -> T | None:
        """What it returned, or what a failure carries as its details; None where neither is."""
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
        return tuple(found for run in self.runs for found in _activities(run))


def message_of(failure: Failure, converter: DataConverter) -> str:
    """What a failure says; a converter may have put it into a payload, and encrypted that."""
    if not failure.HasField("encoded_attributes"):
        return str(failure.message)
    (attributes,) = waited_for(converter.decode([failure.encoded_attributes], [dict]))
    return str(attributes.get("message", failure.message))


def waited_for(decoding: Coroutine[Any, Any, T]) -> T:
    """What a converter's own coroutine returns. Its codec may do anything, so it gets a loop of its
    own, also where one runs already.
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
            found[closed.scheduled_event_id] = replace(
                found[closed.scheduled_event_id],
                closed_at=at,
                completed=event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
            )
    left_at = time_of(run.events[-1]) if run.events[-1].event_type in _CLOSING else None
    for activity in found.values():
        yield activity if activity.closed_at else replace(activity, left_at=left_at)


def time_of(event: HistoryEvent) -> datetime:
    """When the server recorded an event."""
    stamp: Timestamp = event.event_time
    return stamp.ToDatetime(tzinfo=UTC)

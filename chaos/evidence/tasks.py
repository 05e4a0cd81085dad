"""The workflow tasks of a run: when each was due, which worker got it, and when it was answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from temporalio.api.enums.v1 import EventType, TimeoutType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from chaos.evidence.history import time_of

_SCHEDULED = EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED
_STARTED = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
_COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
_TIMED_OUT = EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT


@dataclass(frozen=True)
class Task:
    """A workflow task that a worker got. One that waited in vain for the worker that knew the
    workflow is scheduled once more, for all workers: `scheduled_at` is when it first was.
    """

    scheduled_at: datetime
    started_at: datetime
    worker: str

    @property
    def waited_seconds(self) -> float:
        """From when it was due to when a worker got it."""
        return (self.started_at - self.scheduled_at).total_seconds()


@dataclass(frozen=True)
class Ended(Task):
    """One that is over, by the event `done`: its answer or its timeout."""

    done: HistoryEvent

    @property
    def completed_at(self) -> datetime:
        """When the server had the answer, or waited no longer."""
        return time_of(self.done)

    @property
    def seconds(self) -> float:
        """From when a worker got it to its answer, or to its timeout."""
        return (self.completed_at - self.started_at).total_seconds()


class Answered(Ended):
    """One that was completed."""


class Expired(Ended):
    """One that a worker did not answer in time."""


def tasks(run: WorkflowHistory) -> Sequence[Task]:
    """All that a worker got, in order."""
    scheduled: dict[int, datetime] = {}
    started: dict[int, Task] = {}
    in_vain_since: datetime | None = None
    for event in run.events:
        if event.event_type == _SCHEDULED:
            scheduled[event.event_id] = in_vain_since or time_of(event)
            in_vain_since = None
        elif event.event_type == _TIMED_OUT:
            late = event.workflow_task_timed_out_event_attributes
            if late.timeout_type == TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START:
                in_vain_since = scheduled.get(late.scheduled_event_id)
            elif task := started.get(late.started_event_id):
                number = late.started_event_id
                started[number] = Expired(task.scheduled_at, task.started_at, task.worker, event)
        elif event.event_type == _STARTED:
            begun = event.workflow_task_started_event_attributes
            due = scheduled.get(begun.scheduled_event_id, time_of(event))
            started[event.event_id] = Task(due, time_of(event), begun.identity)
        elif event.event_type == _COMPLETED:
            number = event.workflow_task_completed_event_attributes.started_event_id
            if task := started.get(number):
                started[number] = Answered(task.scheduled_at, task.started_at, task.worker, event)
    return tuple(started.values())


def answered(run: WorkflowHistory) -> Sequence[Answered]:
    """Those that were completed."""
    return tuple(task for task in tasks(run) if isinstance(task, Answered))

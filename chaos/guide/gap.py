"""A time in which no worker could take a task, what had to be done after it, and what that bounds.

A bound here is the sum of what the timings, the histories and the load say. No measurement of
another run is in it:

- the rest of the gap, where a task began to wait in it;
- until the last lost attempt is due again: the timeout that reveals its loss, and the backoff that
  its retry policy has (none where nothing was lost);
- the handover: how late the server's timers may be, the sticky queue of a worker that is gone, and
  a poll;
- the queueing: while a task waits, every worker is busy with at least one. Of the work that was
  left no task waits longer than all of it ÷ workers, and the longest piece of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory

from chaos.evidence.case import Evidence
from chaos.evidence.history import time_of
from chaos.evidence.journal import Event
from chaos.invariants.recovery.bounds import handover_seconds
from chaos.invariants.recovery.faults import is_worker, last_moment
from chaos.invariants.recovery.retries import Loss, Retry, starts

SCHEDULED = EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED
STARTED = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED


@dataclass(frozen=True)
class Gap:
    """From a fault until the first worker could take tasks again; without that, to the end."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True)
class Task:
    """A workflow task that was answered."""

    workflow_id: str
    scheduled_at: datetime
    started_at: datetime
    completed_at: datetime
    worker: str

    @property
    def seconds(self) -> float:
        """From when a worker got it to its answer."""
        return (self.completed_at - self.started_at).total_seconds()

    @property
    def waited_seconds(self) -> float:
        """From when it was due to when a worker got it."""
        return (self.started_at - self.scheduled_at).total_seconds()


def gap_of(evidence: Evidence) -> Gap | None:
    """From the first fault to when a worker was ready after it, or it was healed."""
    fault = evidence.first_entry(Event.FAULT)
    if fault is None:
        return None
    over = evidence.first_entry(Event.HEALED, after=fault.at) or next(
        (
            entry
            for entry in evidence.journal
            if entry.event is Event.READY and entry.at > fault.at and is_worker(entry.target or "")
        ),
        None,
    )
    return Gap(fault.at, over.at if over else last_moment(evidence))


def tasks(evidence: Evidence) -> Iterator[tuple[Task, ...]]:
    """The answered workflow tasks of each run, in order."""
    for workflow in evidence.all_workflows:
        for run in workflow.runs:
            yield tuple(_tasks(workflow.workflow_id, run))


def _tasks(workflow_id: str, run: WorkflowHistory) -> Iterator[Task]:
    scheduled: dict[int, datetime] = {}
    started: dict[int, tuple[datetime, datetime, str]] = {}
    for event in run.events:
        if event.event_type == SCHEDULED:
            scheduled[event.event_id] = time_of(event)
        elif event.event_type == STARTED:
            begun = event.workflow_task_started_event_attributes
            due = scheduled.get(begun.scheduled_event_id, time_of(event))
            started[event.event_id] = (due, time_of(event), begun.identity)
        elif event.event_type == COMPLETED:
            number = event.workflow_task_completed_event_attributes.started_event_id
            if number in started:
                yield Task(workflow_id, *started[number][:2], time_of(event), started[number][2])


def workers_after(evidence: Evidence, since: datetime) -> int:
    """How many workers were there after that time, at least one."""
    alive: dict[str, set[int | None]] = {}
    for entry in evidence.journal:
        if entry.target and is_worker(entry.target):
            pids = alive.setdefault(entry.target, set())
            if entry.event is Event.READY:
                pids.add(entry.pid)
            elif entry.event is Event.EXITED and entry.at <= since:
                pids.discard(entry.pid)
    return max(1, sum(map(len, alive.values())))


def work_left(evidence: Evidence, since: datetime) -> Mapping[str, float]:
    """Seconds of work that were done after a time: `all`, and the `longest` piece."""
    pieces = [
        (activity.closed_at - max(activity.started_at, since)).total_seconds()
        for workflow in evidence.all_workflows
        for activity in workflow.activities
        if activity.started_at and activity.closed_at and activity.closed_at > since
    ]
    pieces += [
        (task.completed_at - max(task.started_at, since)).total_seconds()
        for run in tasks(evidence)
        for task in run
        if task.completed_at > since
    ]
    return {"all": sum(pieces), "longest": max(pieces, default=0.0)}


def queueing_seconds(evidence: Evidence, gap: Gap) -> float:
    """The longest that a task may wait for a worker that is there: handover and queueing."""
    left = work_left(evidence, gap.end)
    shared = left["all"] / workers_after(evidence, gap.end)
    return handover_seconds(evidence) + shared + left["longest"]


def due_again(evidence: Evidence, gap: Gap) -> datetime:
    """When the last attempt that was lost in the gap is due again, at the latest; its end if that
    is later.
    """
    waits = [
        each.silence_seconds + each.backoff_seconds
        for each in starts(evidence)
        if isinstance(each, Retry) and each.loss is not Loss.FAILED and each.started_at > gap.start
    ]
    return max(gap.end, gap.start + timedelta(seconds=max(waits, default=0.0)))

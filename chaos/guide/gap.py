"""A time in which no worker could take a task, what had to be done after it, and what that bounds.

A bound here is the sum of what the timings, the histories and the load say. No measurement of
another run is in it:

- the rest of the gap, where a task began to wait in it;
- until the last lost attempt is due again: the timeout that reveals its loss, and the backoff that
  its retry policy has (none where nothing was lost);
- the lag of a line that is there again: until both ends know it, and the longest wait between two
  tries of an SDK to connect; or the start of a worker by its supervisor;
- the handover: how late the server's timers may be, the sticky queue of a worker that is gone, and
  a poll;
- the queueing: while a task waits, every worker is busy with at least one. Of the work that was
  left no task waits longer than all of it ÷ workers, and the longest piece of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio.api.enums.v1 import EventType, TimeoutType
from temporalio.client import WorkflowHistory

from chaos.evidence.case import Evidence
from chaos.evidence.history import time_of
from chaos.evidence.journal import Entry, Event
from chaos.invariants.recovery.bounds import (
    RECONNECT_SECONDS,
    handover_seconds,
    is_noticed_by,
    start_of_a_member_seconds,
)
from chaos.invariants.recovery.faults import (
    Component,
    component_of,
    is_of_a_fleet,
    is_outage,
    is_over_by,
    is_worker,
    last_moment,
)
from chaos.invariants.recovery.retries import Loss, Retry, starts
from chaos.invariants.recovery.victims import victim_of

SCHEDULED = EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED
STARTED = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
TIMED_OUT = EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT


@dataclass(frozen=True)
class Gap:
    """From a fault until a worker could take tasks again; without that, to the end. After a silent
    line, or while a supervisor starts a new worker, that takes `lag_seconds` more. At least so many
    `workers` share the work after it.
    """

    start: datetime
    end: datetime
    workers: int
    lag_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True)
class Task:
    """A workflow task that a worker got, and when that was over: by its answer or its timeout. One
    that waited in vain for the worker that knew the workflow is scheduled once more, for all
    workers: `scheduled_at` is when it first was.
    """

    workflow_id: str
    scheduled_at: datetime
    started_at: datetime
    completed_at: datetime
    worker: str
    is_answered: bool = True

    @property
    def seconds(self) -> float:
        """From when a worker got it to its answer, or to its timeout."""
        return (self.completed_at - self.started_at).total_seconds()

    @property
    def waited_seconds(self) -> float:
        """From when it was due to when a worker got it."""
        return (self.started_at - self.scheduled_at).total_seconds()


def gap_of(evidence: Evidence, workers: int) -> Gap | None:
    """From the first fault to when a worker was ready after it, or its line was healed."""
    fault = evidence.first_entry(Event.FAULT)
    return None if fault is None else gap_after(evidence, fault, workers)


def gap_after(evidence: Evidence, fault: Entry, workers: int) -> Gap:
    """From a fault to when what it broke was there again."""
    if is_outage(fault):
        over, noticed = is_over_by(evidence, fault), is_noticed_by(evidence, fault)
        return Gap(fault.at, over, workers, (noticed - over).total_seconds() + RECONNECT_SECONDS)
    if is_of_a_fleet(fault.target or ""):  # only its supervisor knows when the next one is ready
        return Gap(fault.at, fault.at, workers, start_of_a_member_seconds(evidence, fault))
    ready = (
        entry
        for entry in evidence.journal
        if entry.event is Event.READY and entry.at > fault.at and is_worker(entry.target or "")
    )
    back = next(ready, None)
    return Gap(fault.at, back.at if back else last_moment(evidence), workers)


def tasks(evidence: Evidence) -> Iterator[tuple[Task, ...]]:
    """The answered workflow tasks of each run, in order."""
    for workflow in evidence.all_workflows:
        for run in workflow.runs:
            yield tuple(task for task in _tasks(workflow.workflow_id, run) if task.is_answered)


def overdue(evidence: Evidence) -> Iterator[Task]:
    """The workflow tasks that a worker got after another worker's, and did not answer in time,
    although no fault hit it meanwhile: to replay the history took it too long.
    """
    broken = [entry for entry in evidence.journal if entry.event is Event.FAULT]
    for workflow in evidence.all_workflows:
        for run in workflow.runs:
            last = ""
            for task in _tasks(workflow.workflow_id, run):
                if task.is_answered:
                    last = task.worker
                elif last not in {"", task.worker} and not any(
                    _may_have_lost(evidence, fault, task) for fault in broken
                ):
                    yield task


def _may_have_lost(evidence: Evidence, fault: Entry, task: Task) -> bool:
    """Whether a fault can be why a task was not answered."""
    if component_of(fault) is Component.WORKER:
        victim = victim_of(evidence, fault)
        return victim.may_be(task.worker) and victim.overlaps(task.started_at, task.completed_at)
    noticed = is_noticed_by(evidence, fault) + timedelta(seconds=RECONNECT_SECONDS)
    return fault.at <= task.completed_at and task.started_at <= noticed


def _tasks(workflow_id: str, run: WorkflowHistory) -> Iterator[Task]:
    scheduled: dict[int, datetime] = {}
    started: dict[int, tuple[datetime, datetime, str]] = {}
    in_vain_since: datetime | None = None
    for event in run.events:
        if event.event_type == SCHEDULED:
            scheduled[event.event_id] = in_vain_since or time_of(event)
            in_vain_since = None
        elif event.event_type == TIMED_OUT:
            late = event.workflow_task_timed_out_event_attributes
            number = late.started_event_id
            if late.timeout_type == TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START:
                in_vain_since = scheduled.get(late.scheduled_event_id)
            elif number in started:
                due, begun_at, worker = started[number]
                yield Task(workflow_id, due, begun_at, time_of(event), worker, is_answered=False)
        elif event.event_type == STARTED:
            begun = event.workflow_task_started_event_attributes
            due = scheduled.get(begun.scheduled_event_id, time_of(event))
            started[event.event_id] = (due, time_of(event), begun.identity)
        elif event.event_type == COMPLETED:
            number = event.workflow_task_completed_event_attributes.started_event_id
            if number in started:
                yield Task(workflow_id, *started[number][:2], time_of(event), started[number][2])


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
    shared = left["all"] / gap.workers
    return gap.lag_seconds + handover_seconds(evidence) + shared + left["longest"]


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

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

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chaos.evidence.case import Evidence
from chaos.evidence.history import Workflow
from chaos.evidence.journal import Entry, Event
from chaos.evidence.tasks import Answered, Expired, answered, tasks
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


def tasks_of(evidence: Evidence) -> Iterator[tuple[Workflow, Sequence[Answered]]]:
    """The answered workflow tasks of each run, in order, with the workflow."""
    for workflow in evidence.all_workflows:
        for run in workflow.runs:
            yield workflow, answered(run)


def overdue(evidence: Evidence) -> Iterator[tuple[Workflow, Expired]]:
    """The workflow tasks that a worker got after another worker's, and did not answer in time,
    although no fault hit it meanwhile: to replay the history took it too long.
    """
    broken = [entry for entry in evidence.journal if entry.event is Event.FAULT]
    for workflow in evidence.all_workflows:
        for run in workflow.runs:
            last = ""
            for task in tasks(run):
                if isinstance(task, Answered):
                    last = task.worker
                elif (
                    isinstance(task, Expired)
                    and last not in {"", task.worker}
                    and not any(_may_have_lost(evidence, fault, task) for fault in broken)
                ):
                    yield workflow, task


def _may_have_lost(evidence: Evidence, fault: Entry, task: Expired) -> bool:
    """Whether a fault can be why a task was not answered."""
    if component_of(fault) is Component.WORKER:
        victim = victim_of(evidence, fault)
        return victim.may_be(task.worker) and victim.overlaps(task.started_at, task.completed_at)
    noticed = is_noticed_by(evidence, fault) + timedelta(seconds=RECONNECT_SECONDS)
    return fault.at <= task.completed_at and task.started_at <= noticed


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
        for _, run in tasks_of(evidence)
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

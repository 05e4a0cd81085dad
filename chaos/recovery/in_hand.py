"""What was in hand when a fault hit, by the histories. One that met nothing has shown nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from chaos.cluster.memory import KERNEL, WATCHER
from chaos.evidence import Evidence
from chaos.history import Activity, Status, Workflow, time_of
from chaos.journal import Entry, Event
from chaos.recovery.faults import Struck, faults, is_over_by, leaves_it_alive, struck
from chaos.recovery.queues import may_concern, queues
from chaos.recovery.retries import RESTORE, cause_of, took_over

KILLS = frozenset({"kill", "out_of_memory"})
"""Faults that end a worker without a word."""

_STOPPED = frozenset({Status.CANCELED, Status.TERMINATED})
_STARTED = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
_SCHEDULED = EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED
_ENDED = {
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED: "workflow_task_completed_event_attributes",
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED: "workflow_task_failed_event_attributes",
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT: "workflow_task_timed_out_event_attributes",
}


@dataclass(frozen=True)
class _Victim:
    """Whom a fault of a worker met, and from when to when it did: until a killed one was gone, one
    that stood still went on. `known` are the pids of all processes that the journal tells of.
    """

    start: datetime
    end: datetime
    pids: frozenset[str]
    known: frozenset[str]
    lives: bool

    def may_be(self, identity: str) -> bool:
        """The SDK's identity is pid@host; one of a worker's own choice may be anybody's."""
        pid = identity.partition("@")[0]
        return pid in self.pids or pid not in self.known

    def overlaps(self, start: datetime, end: datetime | None) -> bool:
        """Whether something lasted while the fault did."""
        return start <= self.end and (end is None or end > self.start)


def met_work(evidence: Evidence, fault: Entry) -> bool:
    """Whether a fault met work: a worker's, something that this worker had in hand, or that came
    for it while it stood still; any other's, a workflow that was open while it lasted.
    """
    known = queues(evidence)
    workflows = [w for w in evidence.workflows.values() if may_concern(known, fault, w)]
    if struck(fault) is Struck.WORKER and fault.kind != "crash_loop":
        victim = _victim(evidence, fault)
        met, end = any(_had_in_hand(victim, each) for each in workflows), victim.end
    else:
        end = is_over_by(evidence, fault)
        met = any(_was_open(workflow, fault.at, end) for workflow in workflows)
    return met or _is_forgotten(evidence, end)


def unmeasured(evidence: Evidence) -> Iterator[tuple[Entry, Workflow, Activity]]:
    """The activities that a worker had in hand when it was killed, and of which nobody can say how
    soon they were taken up again: no attempt followed, or none that is known to be due to a fault.
    A workflow that was stopped from outside needs none.
    """
    known = queues(evidence)
    for fault in faults(evidence, Struck.WORKER):
        victim = _victim(evidence, fault)
        for workflow in evidence.workflows.values() if fault.kind in KILLS else ():
            if not may_concern(known, fault, workflow) or workflow.status in _STOPPED:
                continue
            for activity in workflow.activities:
                dropped = _was_held(victim, activity) and not activity.completed
                lost = _was_lost(victim, activity)
                if (dropped and not _was_made_anew(evidence, fault, workflow, activity)) or (
                    lost and not cause_of(evidence, workflow, activity)
                ):
                    yield fault, workflow, activity


def _victim(evidence: Evidence, fault: Entry) -> _Victim:
    pids = {fault.pid} if fault.pid else set(_pids(evidence, fault))
    return _Victim(
        start=fault.at,
        end=_end(evidence, fault, pids),
        pids=frozenset(map(str, pids)),
        known=frozenset(str(entry.pid) for entry in evidence.journal if entry.pid),
        lives=leaves_it_alive(fault),
    )


def _pids(evidence: Evidence, fault: Entry) -> Iterator[int]:
    """Those of its target that got a signal or were ended while it lasted."""
    over = is_over_by(evidence, fault)
    for entry in evidence.journal:
        told = entry.event is Event.SIGNALED or entry.kind in {KERNEL, WATCHER}
        if told and entry.target == fault.target and entry.pid and fault.at <= entry.at <= over:
            yield entry.pid


def _end(evidence: Evidence, fault: Entry, pids: Collection[int]) -> datetime:
    """When the last of them was gone, or went on."""
    ends = []
    for pid in pids:
        gone = evidence.first_entry(Event.EXITED, after=fault.at, pid=pid)
        woken = evidence.first_entry(Event.SIGNALED, after=fault.at, pid=pid, signal="SIGCONT")
        ends += [entry.at for entry in (gone, woken) if entry]
    if leaves_it_alive(fault):
        return min([*ends, is_over_by(evidence, fault)])
    return max(ends, default=fault.at)


def _was_open(workflow: Workflow, start: datetime, end: datetime) -> bool:
    closed_at = workflow.closed_at
    return workflow.started_at <= end and (closed_at is None or closed_at > start)


def _is_forgotten(evidence: Evidence, end: datetime) -> bool:
    """Whether a workflow was started by then of which the server knows nothing any more, or nothing
    of that time, for its database was put back from a backup.
    """
    restored = any(entry.kind == RESTORE and entry.at > end for entry in evidence.journal)
    return any(
        entry.event is Event.WORKFLOW
        and entry.at <= end
        and (restored or entry.workflow_id not in evidence.workflows)
        for entry in evidence.journal
    )


def _had_in_hand(victim: _Victim, workflow: Workflow) -> bool:
    activities = workflow.activities
    return (
        any(_was_held(victim, each) or _was_lost(victim, each) for each in activities)
        or (victim.lives and any(_came_meanwhile(victim, each) for each in activities))
        or any(_had_task_in_hand(victim, run.events) for run in workflow.runs)
    )


def _was_held(victim: _Victim, activity: Activity) -> bool:
    """Whether its last attempt was the victim's. One that is open has no start on record yet."""
    if activity.started_at is None:
        return activity.closed_at is None and activity.scheduled_at <= victim.end
    return victim.may_be(activity.worker) and victim.overlaps(
        activity.started_at, activity.closed_at
    )


def _was_lost(victim: _Victim, activity: Activity) -> bool:
    """Whether an attempt before its last one was lost meanwhile; only a fleet says whose it was."""
    if activity.started_at is None or not took_over(activity):
        return False
    named = activity.last_failure and re.match(r"its worker (\d+)", activity.last_failure.message)
    if named and named[1] not in victim.pids:
        return False
    return activity.scheduled_at <= victim.end and activity.started_at > victim.start


def _was_made_anew(evidence: Evidence, fault: Entry, workflow: Workflow, dropped: Activity) -> bool:
    """Whether the workflow itself had it done again, which no timeout promises; a system may."""
    return dropped.closed_at is not None and any(
        again.kind == dropped.kind
        and again.started_at is not None
        and again.scheduled_at >= dropped.closed_at
        and (again.started_at - fault.at).total_seconds() <= (evidence.recovery_seconds or math.inf)
        for again in workflow.activities
    )


def _came_meanwhile(victim: _Victim, activity: Activity) -> bool:
    """Whether it was due while the victim stood still, and had to wait for it."""
    return (
        activity.started_at is not None
        and victim.start <= activity.scheduled_at <= victim.end < activity.started_at
        and victim.may_be(activity.worker)
    )


def _had_task_in_hand(victim: _Victim, events: Collection[HistoryEvent]) -> bool:
    """Whether it had a workflow task in hand; or, the last to have done one, took the workflow's
    state along, so that the next task had to begin without it, or waited for it.
    """
    last = ""
    scheduled: dict[int, datetime] = {}
    started = {e.event_id: e for e in events if e.event_type == _STARTED}
    ends = {
        getattr(event, _ENDED[event.event_type]).started_event_id: time_of(event)
        for event in events
        if event.event_type in _ENDED
    }
    for event in events:
        if event.event_type == _SCHEDULED:
            at = scheduled[event.event_id] = time_of(event)
            end = victim.end if victim.lives else datetime.max.replace(tzinfo=at.tzinfo)
            if last and victim.may_be(last) and victim.start <= at <= end:
                return True
        elif event.event_type == _STARTED:
            task = event.workflow_task_started_event_attributes
            at = time_of(event)
            mine = victim.may_be(task.identity)
            if mine and victim.overlaps(at, ends.get(event.event_id)):
                return True
            due = scheduled.get(task.scheduled_event_id, at)
            if mine and victim.lives and victim.start <= due <= victim.end < at:
                return True
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            number = event.workflow_task_completed_event_attributes.started_event_id
            if number in started:
                last = started[number].workflow_task_started_event_attributes.identity
    return False

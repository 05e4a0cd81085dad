"""What was in flight when a fault hit, by the histories. If nothing, it proves nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import datetime

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from chaos.evidence.case import Evidence
from chaos.evidence.history import Activity, Workflow, time_of
from chaos.evidence.journal import Entry, Event
from chaos.invariants.recovery.boundaries import why_missed
from chaos.invariants.recovery.faults import (
    Component,
    component_of,
    is_over_by,
    may_concern,
    queues,
)
from chaos.invariants.recovery.retries import RESTORE, took_over
from chaos.invariants.recovery.victims import Victim, is_of_a_link, victim_of

STARTED = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
SCHEDULED = EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED
_ENDED = {
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED: "workflow_task_completed_event_attributes",
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED: "workflow_task_failed_event_attributes",
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT: "workflow_task_timed_out_event_attributes",
}
_CHILD = EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED
_CHILD_ENDED = {
    getattr(EventType, f"EVENT_TYPE_{name}"): f"{name.lower()}_event_attributes"
    for name in (
        "START_CHILD_WORKFLOW_EXECUTION_FAILED",
        "CHILD_WORKFLOW_EXECUTION_COMPLETED",
        "CHILD_WORKFLOW_EXECUTION_FAILED",
        "CHILD_WORKFLOW_EXECUTION_CANCELED",
        "CHILD_WORKFLOW_EXECUTION_TIMED_OUT",
        "CHILD_WORKFLOW_EXECUTION_TERMINATED",
    )
}


def met_work(evidence: Evidence, fault: Entry) -> bool:
    """Whether a fault hit work. For a worker or its line to the server: something that this worker
    had in flight, or that came for it while it was paused or cut off. For the server: a workflow
    that was open meanwhile. For something that only activities use: a workflow that did more than
    wait meanwhile. At a boundary the wire itself has seen what it hit.
    """
    if fault.passage is not None:
        return why_missed(evidence, fault) is None
    known = queues(evidence)
    workflows = [w for w in evidence.all_workflows if may_concern(known, fault, w)]
    if (component_of(fault) is Component.WORKER and fault.kind != "crash_loop") or is_of_a_link(
        fault
    ):
        victim = victim_of(evidence, fault)
        met, end = any(had_in_flight(victim, each) for each in workflows), victim.end
    else:
        end = is_over_by(evidence, fault)
        was_met = _was_open if component_of(fault) is not Component.OTHER else was_at_work
        met = any(was_met(workflow, fault.at, end) for workflow in workflows)
    return met or _is_forgotten(evidence, end)


def _was_open(workflow: Workflow, start: datetime, end: datetime) -> bool:
    closed_at = workflow.closed_at
    return workflow.started_at <= end and (closed_at is None or closed_at > start)


def was_at_work(workflow: Workflow, start: datetime, end: datetime) -> bool:
    """Whether a workflow was open, and did not just wait for a timer or a signal: it had an
    activity, a workflow task in which a local one may run, or a child, whose own history is not
    here.
    """
    if any(
        each.scheduled_at <= end and _is_later(each.closed_at or each.left_at, start)
        for each in workflow.activities
    ):
        return True
    return any(any_task_was_open(run.events, start, end) for run in workflow.runs)


def any_task_was_open(events: Collection[HistoryEvent], start: datetime, end: datetime) -> bool:
    """Whether a workflow task or a child of this run was."""
    ends = {number: time_of(event) for event in events for number in _ended_by(event)}
    last = max(map(time_of, events))
    return any(
        event.event_type in {SCHEDULED, STARTED, _CHILD}
        and time_of(event) <= end
        and ends.get(event.event_id, last) > start
        for event in events
    )


def _ended_by(event: HistoryEvent) -> Iterator[int]:
    """The events whose matter this one ends."""
    if event.event_type in _ENDED:
        ended = getattr(event, _ENDED[event.event_type])
        yield from (ended.started_event_id, ended.scheduled_event_id)
    elif event.event_type in _CHILD_ENDED:
        yield getattr(event, _CHILD_ENDED[event.event_type]).initiated_event_id


def _is_later(at: datetime | None, start: datetime) -> bool:
    return at is None or at > start


def _is_forgotten(evidence: Evidence, end: datetime) -> bool:
    """Whether a workflow had been started that the server no longer knows, or not as of that time,
    because its database was restored from a backup.
    """
    restored = any(entry.kind == RESTORE and entry.at > end for entry in evidence.journal)
    return any(
        entry.event is Event.WORKFLOW
        and entry.at <= end
        and (restored or entry.workflow_id not in evidence.workflows)
        for entry in evidence.journal
    )


def had_in_flight(victim: Victim, workflow: Workflow) -> bool:
    """Whether a victim had a task of a workflow in flight, or its state, or an attempt was lost."""
    activities = workflow.activities
    return (
        any(was_held(victim, each) or was_lost(victim, each) for each in activities)
        or (victim.lives and any(_came_meanwhile(victim, each) for each in activities))
        or any(had_task_in_flight(victim, run.events) for run in workflow.runs)
    )


def was_held(victim: Victim, activity: Activity) -> bool:
    """Whether its last attempt was the victim's. One that is open has no start on record yet."""
    if activity.started_at is None:
        is_open = activity.closed_at is None and _is_later(activity.left_at, victim.start)
        return is_open and activity.scheduled_at <= victim.end
    # Who is gone has completed nothing since: that was another one of the same name.
    is_anothers = (
        activity.worker in victim.shared
        and not victim.lives
        and activity.completed
        and _is_later(activity.closed_at, victim.end)
    )
    return (
        victim.may_be(activity.worker)
        and victim.overlaps(activity.started_at, activity.closed_at)
        and not is_anothers
    )


def was_lost(victim: Victim, activity: Activity) -> bool:
    """Whether an attempt before its last one was lost meanwhile; only a supervisor says whose it
    was.
    """
    if activity.started_at is None or not took_over(activity):
        return False
    named = activity.last_failure and re.match(r"its worker (\d+)", activity.last_failure.message)
    if named and named[1] not in victim.pids:
        return False
    return activity.scheduled_at <= victim.end and activity.started_at > victim.start


def _came_meanwhile(victim: Victim, activity: Activity) -> bool:
    """Whether it was due while the victim was paused, and had to wait for it."""
    return (
        activity.started_at is not None
        and victim.start <= activity.scheduled_at <= victim.end < activity.started_at
        and victim.may_be(activity.worker)
    )


def had_task_in_flight(victim: Victim, events: Collection[HistoryEvent]) -> bool:
    """Whether it had a workflow task in flight; or did the last one, so that the workflow's cached
    state was lost with it, and the next task had to start without that, or waited for it.
    """
    last = ""
    scheduled: dict[int, datetime] = {}
    started = {e.event_id: e for e in events if e.event_type == STARTED}
    ends = {
        getattr(event, _ENDED[event.event_type]).started_event_id: time_of(event)
        for event in events
        if event.event_type in _ENDED
    }
    lost = {
        event.workflow_task_timed_out_event_attributes.started_event_id
        for event in events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT
    }
    for event in events:
        if event.event_type == SCHEDULED:
            at = scheduled[event.event_id] = time_of(event)
            end = victim.end if victim.lives else datetime.max.replace(tzinfo=at.tzinfo)
            if last and victim.is_surely(last) and victim.start <= at <= end:
                return True
        elif event.event_type == STARTED:
            task = event.workflow_task_started_event_attributes
            at = time_of(event)
            mine = victim.is_surely(task.identity) or (
                event.event_id in lost and victim.may_be(task.identity)
            )
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

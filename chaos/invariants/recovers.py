"""Every recovery is as fast as the timeouts in force allow."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from chaos.evidence.case import Evidence
from chaos.evidence.history import Activity, Status, Workflow, time_of
from chaos.evidence.journal import Entry, Event
from chaos.invariants import Late, Unmeasured, invariant
from chaos.invariants.hanging import policy_told
from chaos.invariants.recovery import first_retries, recoveries, took_over
from chaos.invariants.recovery.faults import Component, component_of, faults, may_concern, queues
from chaos.invariants.recovery.in_flight import SCHEDULED, STARTED, was_held, was_lost
from chaos.invariants.recovery.retries import cause_of
from chaos.invariants.recovery.victims import Victim, victim_of

_KILLS = frozenset({"kill", "out_of_memory"})
"""Faults that end a worker without a report."""

_STOPPED = frozenset({Status.CANCELED, Status.TERMINATED})


@invariant
def recovers_within_its_bound(evidence: Evidence) -> Iterator[str]:
    """After each fault that cost anything, work resumes no later than predicted. Work that a killed
    worker had in flight, and that was not seen to resume, was not measured. A target's promise also
    covers workflow tasks, in which local activities run; without one, nothing is predicted for
    them.
    """
    found, retries = recoveries(evidence), first_retries(evidence)
    for fault in evidence.journal:
        recovery = found.get(fault.at) if fault.event is Event.FAULT else None
        if recovery and recovery.waited > recovery.bound:
            retry = retries.get(fault.at)
            yield Late(
                f"after the fault {fault.kind} at {fault.target} work resumed after "
                f"{recovery.waited:.1f} s, not within {recovery.bound:.1f} s"
                + (_policy(retry.activity) if retry and took_over(retry.activity) else "")
            )
        elif fault.event is Event.FAULT and evidence.timings.recovery_seconds is not None:
            yield from _late_tasks(evidence, fault, evidence.timings.recovery_seconds)
    for fault, workflow, activity in _unmeasured(evidence):
        yield Unmeasured(
            f"{fault.target} was killed with {activity.kind} of {workflow.workflow_id} in flight, "
            "and no later attempt belongs to it: its recovery is not measured" + _policy(activity)
        )


def _policy(activity: Activity) -> str:
    """A note if only a time limit revealed the lost attempt."""
    policy = policy_told(activity)
    return f" ({activity.kind}: {policy})" if policy else ""


def _late_tasks(evidence: Evidence, fault: Entry, promised: float) -> Iterator[str]:
    for workflow, seconds in _stood_still(evidence, fault):
        if seconds > promised:
            yield Late(
                f"after the fault {fault.kind} at {fault.target} a task of {workflow.workflow_id} "
                f"itself was resumed after {seconds:.1f} s, not within {promised:.1f} s"
            )


def _unmeasured(evidence: Evidence) -> Iterator[tuple[Entry, Workflow, Activity]]:
    """The activities that a worker had in flight when it was killed, whose recovery is unknown: no
    attempt followed, or none that is known to be due to a fault. A workflow that was stopped from
    outside needs none.
    """
    known = queues(evidence)
    for fault in faults(evidence, Component.WORKER):
        victim = victim_of(evidence, fault)
        for workflow in evidence.all_workflows if fault.kind in _KILLS else ():
            if not may_concern(known, fault, workflow) or workflow.status in _STOPPED:
                continue
            for activity in workflow.activities:
                dropped = was_held(victim, activity) and not activity.completed
                lost = was_lost(victim, activity)
                if (dropped and not _was_made_anew(evidence, fault, workflow, activity)) or (
                    lost and not cause_of(evidence, workflow, activity)
                ):
                    yield fault, workflow, activity


def _stood_still(evidence: Evidence, fault: Entry) -> Iterator[tuple[Workflow, float]]:
    """The workflows whose own task a killed worker had in flight, or whose state it lost, each with
    the seconds until another worker got that task, or the next one.
    """
    if fault.kind not in _KILLS or component_of(fault) is not Component.WORKER:
        return
    known, victim = queues(evidence), victim_of(evidence, fault)
    for workflow in evidence.all_workflows:
        for run in workflow.runs if may_concern(known, fault, workflow) else ():
            seconds = _standstill_seconds(victim, run.events)
            if seconds is not None:
                yield workflow, seconds


def _standstill_seconds(victim: Victim, events: Collection[HistoryEvent]) -> float | None:
    """None if no task of this run had to wait, or none was ever resumed."""
    last, since = "", None
    timed_out = {
        event.workflow_task_timed_out_event_attributes.started_event_id: time_of(event)
        for event in events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT
    }
    for event in events:
        at = time_of(event)
        if event.event_type == SCHEDULED and since is None and last and victim.may_be(last):
            since = max(at, victim.start)
        elif event.event_type == STARTED:
            if since is not None and at > victim.end:
                return (at - since).total_seconds()
            last = event.workflow_task_started_event_attributes.identity
            lost_at = timed_out.get(event.event_id)
            is_lost = lost_at is not None and lost_at > victim.start
            since = victim.start if is_lost and victim.may_be(last) else None
    return None


def _was_made_anew(evidence: Evidence, fault: Entry, workflow: Workflow, dropped: Activity) -> bool:
    """Whether the workflow itself scheduled it again, which no timeout predicts; a target may
    promise it.
    """
    return dropped.closed_at is not None and any(
        again.kind == dropped.kind
        and again.started_at is not None
        and again.scheduled_at >= dropped.closed_at
        and (again.started_at - fault.at).total_seconds()
        <= (evidence.timings.recovery_seconds or math.inf)
        for again in workflow.activities
    )

"""Problems that a busy machine may have caused, rather than the system. Only the wire shows whether
an attempt ever reached a worker.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from chaos.environment.wire import EVERYBODY
from chaos.evidence.case import Evidence
from chaos.evidence.history import Activity, Status, Workflow
from chaos.evidence.journal import Event
from chaos.invariants import Late, Lost, Unmeasured
from chaos.invariants.recovery import has_a_cause, went_silent
from chaos.invariants.recovery.faults import Component, faults, is_worker
from chaos.invariants.recovery.retries import silence_limit_seconds
from chaos.invariants.recovery.victims import victim_of
from chaos.wire.boundary import REPORTS, Kind, Stage
from chaos.wire.journal import Called, WireRecord, WireRecords, read_wire


@dataclass(frozen=True)
class Tolerance:
    """The tolerance between planned and actual times."""

    early_seconds: float
    late_seconds: float


def unless_about(
    seconds: float, wanted: float, tolerance: Tolerance, problem: str
) -> Iterator[str]:
    """The problem of something too early or too late; a busy machine makes nothing early."""
    if seconds < wanted - tolerance.early_seconds:
        yield problem
    elif seconds > wanted + tolerance.late_seconds:
        yield Late(problem)


def of_unfinished(workflow: Workflow | None, problem: str, evidence: Evidence | None = None) -> str:
    """What is missing in an open workflow may only be late; in a lost one it is not. One that waits
    for the time limit of an attempt which died with its worker does as it should: how it ends was
    not measured. With the evidence that is known.
    """
    if workflow is None or workflow.status is not Status.RUNNING:
        return problem
    waits = _until_noticed(evidence, workflow) if evidence else ""
    return Unmeasured(f"{problem}; {waits}") if waits else Late(problem)


def _until_noticed(evidence: Evidence, workflow: Workflow) -> str:
    """Which lost attempt the server could not know of yet at the end; empty where there is none."""
    victims = [victim_of(evidence, fault) for fault in faults(evidence, Component.WORKER)]
    for owner in (workflow, *evidence.descendants(workflow)):
        for activity in owner.activities:
            tried = activity.pending
            if owner.pending is None or tried is None or tried.started_at is None:
                continue
            heard = max(tried.started_at, tried.heartbeat_at or tried.started_at)
            since = heard if activity.has_heartbeats else tried.started_at
            limit = timedelta(seconds=silence_limit_seconds(activity))
            lost = any(
                not victim.lives
                and victim.is_known_as(tried.worker)
                and victim.overlaps(tried.started_at, None)
                for victim in victims
            )
            if lost and since + limit > owner.pending.at:
                left = (since + limit - owner.pending.at).total_seconds()
                return (
                    f"the attempt of {activity.kind} died with its worker, which its timeout of "
                    f"{limit.total_seconds():g} s shows only {left:.0f} s later"
                )
    return ""


def of_repeated(evidence: Evidence, workflow: Workflow, activity: Activity, problem: str) -> str:
    """An extra attempt after one that timed out: that one was lost on its way to a worker, or on a
    starved worker. Without a fault it is unknown which, unless the wire saw it; with one, it may be
    late.
    """
    if not went_silent(activity):
        return problem
    if has_a_cause(evidence, workflow, activity):
        return Late(problem)
    fate = fate_of(evidence, workflow, activity)
    if fate is None:
        return Lost(problem)
    told = f"{problem}; attempt {activity.attempt - 1}: {fate.value}"
    # What the worker had is the worker's to answer for, as far as it was given time.
    return Late(told) if fate is Fate.UNREPORTED else Lost(told)


class Fate(Enum):
    """What happened to an attempt that the server has as started and that was never reported."""

    NEVER_GIVEN = "the server lost it: on the wire no worker got it"
    NOT_DELIVERED = "the server gave it out, and it did not reach the worker"
    UNREPORTED = "it was delivered, and the worker never reported"
    REPORTED = "the worker reported it, and the server did not take that"


@dataclass(frozen=True)
class Attempt:
    """An attempt of an activity, in the terms of the wire."""

    workflow_id: str
    kind: str
    number: int

    def passed(self, records: Sequence[WireRecord]) -> Iterator[tuple[Called, Stage]]:
        """The calls about it, and how far each got."""
        for record in records:
            if not isinstance(record, Called):
                continue
            for crossing in record.crossings:
                place = crossing.boundary
                if (place.kind, place.subject, crossing.workflow_id, crossing.attempt) == (
                    Kind.ACTIVITY,
                    self.kind,
                    self.workflow_id,
                    self.number,
                ):
                    yield record, place.stage


def fate_of(evidence: Evidence, workflow: Workflow, activity: Activity) -> Fate | None:
    """What happened to the attempt before an activity's last one; None if not all workers were on
    the wire, or the wire cannot distinguish it from other activities of its kind.
    """
    lines = read_wire(evidence.folder)
    if activity.attempt < 2 or not _has_all_workers(evidence, lines):
        return None
    records = [record for line in lines.values() for record in line]
    attempt = Attempt(evidence.real_id(workflow.workflow_id), activity.kind, activity.attempt - 1)
    passed = list(attempt.passed(records))
    alike = [
        each
        for each in workflow.activities
        if each.kind == activity.kind and each.attempt >= attempt.number
    ]
    if len(alike) > 1:
        return None
    given = [call for call, stage in passed if stage is Stage.ASSIGNED]
    if not given:
        return Fate.NEVER_GIVEN
    if not any(call.delivered_at and call.status == "OK" for call in given):
        return Fate.NOT_DELIVERED
    told = any(stage in REPORTS for _, stage in passed)
    return Fate.REPORTED if told else Fate.UNREPORTED


def _has_all_workers(evidence: Evidence, lines: WireRecords) -> bool:
    ready = {
        entry.target
        for entry in evidence.journal
        if entry.event is Event.READY and entry.target and is_worker(entry.target)
    }
    return bool(ready) and (EVERYBODY in lines or ready <= set(lines))

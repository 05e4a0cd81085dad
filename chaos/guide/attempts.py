"""Figures of activities under a fault, by the wire: attempts, waits between them, heartbeats."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from chaos.evidence.case import Evidence
from chaos.evidence.history import Activity, Workflow
from chaos.invariants.figures import SECONDS, Figure
from chaos.wire.boundary import Kind, Stage
from chaos.wire.journal import Called, read_wire

_REPORTED = frozenset({Stage.COMPLETING, Stage.FAILING})


@dataclass(frozen=True)
class _Mark:
    """A sign of an attempt on the wire: it was given out, told of itself, or was reported."""

    at: datetime
    kind: Kind
    stage: Stage
    ordinal: int
    attempt: int


def attempt_figures(
    evidence: Evidence, affected: Sequence[tuple[Workflow, Activity]]
) -> Iterator[Figure]:
    """For each type of activity among the affected ones: the most attempts that one took, retries
    for each of them, the longest wait before a retry, the longest gap between heartbeats.
    """
    by_kind: dict[str, list[tuple[Workflow, Activity]]] = defaultdict(list)
    for workflow, activity in affected:
        if (workflow, activity) not in by_kind[activity.kind]:
            by_kind[activity.kind].append((workflow, activity))
    for kind, found in sorted(by_kind.items()):
        tries = [_tries(activity) for _, activity in found]
        most = max(each.retry_policy.maximum_attempts for _, each in found)
        allowed = f" (of {most})" if most else " (of any number)"
        yield Figure(name=f"most attempts of {kind}{allowed}", value=max(tries))
        rate = sum(number - 1 for number in tries) / len(tries)
        yield Figure(name=f"retries for each {kind} affected", value=round(rate, 2))
        workflows = {workflow.workflow_id: workflow for workflow, _ in found}.values()
        marks = [_marks(evidence, workflow, kind) for workflow in workflows]
        if waits := [wait for each in marks for wait in _waits(each)]:
            yield _seconds(f"longest wait before a retry of {kind}", max(waits))
        beats = [a.heartbeat_seconds for _, a in found if a.has_heartbeats]
        if beats and (gaps := [gap for each in marks for gap in _gaps(each)]):
            name = f"longest gap between heartbeats of {kind} (timeout {min(beats):g} s)"
            yield _seconds(name, max(gaps))


def _tries(activity: Activity) -> int:
    """Its known attempts; at least the one that was affected."""
    return max(1, activity.attempt, activity.pending.attempt if activity.pending else 0)


def _seconds(name: str, value: float) -> Figure:
    return Figure(name=name, value=round(value, 3), unit=SECONDS)


def _marks(evidence: Evidence, workflow: Workflow, kind: str) -> Sequence[_Mark]:
    """All signs of activities of that type in a workflow, in order."""
    owner = evidence.real_id(workflow.workflow_id)
    found = [
        _Mark(
            call.delivered_at or call.at if place.stage is Stage.ASSIGNED else call.at,
            place.kind,
            place.stage,
            place.ordinal,
            crossing.attempt,
        )
        for records in read_wire(evidence.folder).values()
        for call in records
        if isinstance(call, Called)
        for crossing in call.crossings
        for place in (crossing.boundary,)
        if crossing.workflow_id == owner
        and place.subject == kind
        and place.kind in {Kind.ACTIVITY, Kind.HEARTBEAT}
    ]
    return sorted(found, key=lambda mark: mark.at)


def _waits(marks: Sequence[_Mark]) -> Iterator[float]:
    """From each report that an attempt failed until the next one was at a worker."""
    given = {
        (mark.ordinal, mark.attempt): mark.at for mark in marks if mark.stage is Stage.ASSIGNED
    }
    for mark in marks:
        again = given.get((mark.ordinal, mark.attempt + 1))
        if mark.kind is Kind.ACTIVITY and mark.stage is Stage.FAILING and again:
            yield (again - mark.at).total_seconds()


def _gaps(marks: Sequence[_Mark]) -> Iterator[float]:
    """Between two signs of an attempt that was at a worker. That one is given out ends no gap: the
    attempt before it was lost, or is another activity's.
    """
    last: dict[int, datetime] = {}
    for mark in marks:
        if mark.attempt in last and mark.stage is not Stage.ASSIGNED:
            yield (mark.at - last.pop(mark.attempt)).total_seconds()
        if mark.kind is Kind.HEARTBEAT or mark.stage is Stage.ASSIGNED:
            last[mark.attempt] = mark.at

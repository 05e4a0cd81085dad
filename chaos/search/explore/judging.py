"""From an attempt's folder to its outcome. Pure, so it can be repeated from the files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from chaos.environment.target import Target
from chaos.evidence.case import Evidence
from chaos.evidence.history import Activity, Status
from chaos.experiment.judge import reason_of, verdict_of
from chaos.experiment.scenario import SURVIVAL
from chaos.invariants import Invariant
from chaos.invariants.doubt import of_repeated
from chaos.invariants.verdict import Finding, Verdict
from chaos.search.crash.hits import Hit, hit_of, proven, recovery_seconds, was_hit
from chaos.search.crash.points import during
from chaos.search.explore.plan import PlannedHit
from chaos.search.explore.state import Attempt
from chaos.wire.boundary import Kind, Stage
from chaos.wire.journal import Called, WireRecords, read_wire, service_of

MOST_LOST = 2
"""Attempts that one hit can cost an activity: the one in flight, and, where that is
scheduled again at once, the one that was given to a poll of the dead.
"""


@dataclass(frozen=True)
class Judged:
    """The outcome of one hit, and what it rests on."""

    attempt: Attempt
    findings: Sequence[Finding]
    evidence: Evidence


def judge_attempt(
    folder: Path, target: Target, planned: PlannedHit, began_at: datetime, ended_at: datetime
) -> Judged:
    """By the files of its folder only."""
    loaded = target.load_evidence(folder)
    hit, wire = hit_of(loaded, planned.point), read_wire(folder)
    evidence = explained(loaded, target, hit, wire)
    findings = findings_of(evidence, target, planned, hit)
    (spec,) = evidence.specs
    workflow = evidence.workflows.get(spec.workflow_id)
    attempt = Attempt(
        crash_point=planned.name,
        workflow_id=spec.workflow_id,
        began_at=began_at,
        ended_at=ended_at,
        verdict=verdict_of(findings),
        reason=reason_of(findings),
        is_reached=hit is not None,
        proven=tuple(str(boundary) for boundary in proven(evidence, planned)),
        pid=hit.pid if hit else None,
        status=workflow.status if workflow else Status.LOST,
        billed_usd=sum((bill.amount_usd for bill in evidence.bills), Decimal(0)),
        ideal_usd=evidence.cost_usd(spec),
        in_doubt=len(evidence.in_doubt),
        recovery_seconds=recovery_seconds(wire, hit) if hit else None,
    )
    return Judged(attempt, findings, evidence)


def findings_of(
    evidence: Evidence, target: Target, planned: PlannedHit, hit: Hit | None
) -> Sequence[Finding]:
    """The proof that it was hit, then all invariants."""
    held = {check.name: check for check in (*SURVIVAL, *target.invariants)}
    checks = (was_hit(planned), *held.values(), attempts_are_explained(planned, hit))
    return [check.examine(evidence) for check in checks]


def broken_attempt(planned: PlannedHit, workflow_id: str, began_at: datetime, why: str) -> Attempt:
    """An attempt that could not be carried out."""
    return Attempt(
        crash_point=planned.name,
        workflow_id=workflow_id,
        began_at=began_at,
        ended_at=datetime.now(UTC),
        verdict=Verdict.UNKNOWN,
        reason=why,
        is_carried_out=False,
    )


def explained(evidence: Evidence, target: Target, hit: Hit | None, wire: WireRecords) -> Evidence:
    """The evidence with its spec as the hit has it: a charge may be billed again whose paid request
    had been sent on, unless its activity was about to report. The n-th paid request is that of the
    n-th charge; of a target whose requests cost nothing when they come again, none is paid.

    The wire tells, not the point alone: another of the worker's tasks may have been further. A
    request that was not sent on cannot have been billed.
    """
    if hit is None:
        return evidence
    (spec,) = evidence.specs
    doubtful = [
        charge.key
        for call, charge in zip(_paid(wire, target, hit), spec.charges, strict=False)
        if not _was_reported(wire, call, hit)
    ]
    excused = (*spec.may_be_charged_twice, *doubtful)
    return replace(evidence, specs=(spec.model_copy(update={"may_be_charged_twice": excused}),))


def _paid(wire: WireRecords, target: Target, hit: Hit) -> Sequence[Called]:
    """The requests that cost money and were sent on before the worker was gone, in order."""
    sent = [
        call
        for line, records in wire.items()
        if service_of(line)
        for call in records
        if isinstance(call, Called) and call.forwarded_at and call.forwarded_at <= hit.over_at
    ]
    return sorted((call for call in sent if _is_paid(call, target)), key=lambda call: call.at)


def _is_paid(call: Called, target: Target) -> bool:
    request = asked_for(call.method.partition(" ")[2])
    return any(target.is_paid(kind, request) for kind in _during(call))


def _during(call: Called) -> Sequence[str]:
    return [kind for crossing in call.crossings for kind in during(crossing)]


def _was_reported(wire: WireRecords, request: Called, hit: Hit) -> bool:
    """Whether its activity was about to report when the worker was gone."""
    return any(
        crossing.boundary.kind is Kind.ACTIVITY
        and crossing.boundary.stage is Stage.COMPLETING
        and crossing.boundary.subject in _during(request)
        for records in wire.values()
        for call in records
        if isinstance(call, Called) and request.at <= call.at <= hit.over_at
        for crossing in call.crossings
    )


def asked_for(path: str) -> str:
    """What a request is for, such as `charges` or `generateContent`: the last word of its path
    without a digit, which would be an id.
    """
    words = [word.rpartition(":")[2] for word in path.split("/") if word]
    named = [word for word in words if word != "*" and not any(map(str.isdigit, word))]
    return named[-1] if named else "/"


def attempts_are_explained(planned: PlannedHit, hit: Hit | None) -> Invariant:
    """Only what was in flight when the worker died is attempted once more.

    An activity that was open then may have been given to a poll of the dead, or not.
    """

    def judge(evidence: Evidence) -> Iterator[str]:
        if hit is None:
            return
        for workflow in evidence.all_workflows:
            for place, activity in enumerate(workflow.activities, start=1):
                usual = planned.attempts.get(activity.kind, 1)
                most = usual + (MOST_LOST if _is_open(activity, hit) else 0)
                if activity.attempt > most:
                    told = f"{activity.kind}, activity {place}, took {activity.attempt} attempt(s)"
                    yield of_repeated(evidence, workflow, activity, told)

    return Invariant("attempts_are_explained", judge)


def _is_open(activity: Activity, hit: Hit) -> bool:
    """Whether it was in flight, or could be given out, until its worker was gone."""
    is_scheduled = activity.scheduled_at <= hit.over_at
    return is_scheduled and (activity.closed_at is None or hit.at < activity.closed_at)

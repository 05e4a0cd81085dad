"""From a try's folder to what is known of it. Pure: it can be done again from the files."""

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
from chaos.invariants.verdict import Finding, Verdict
from chaos.search.explore.keep import read_hit, read_passed
from chaos.search.explore.moments import Actor, Moment, Passed, Stage
from chaos.search.explore.plan import CrashPoint, Reference
from chaos.search.explore.proofs import proven, recovery_seconds, was_killed_there
from chaos.search.explore.state import Try

_SCHEDULED = "ACTIVITY_TASK_SCHEDULED"
_OVER = {Stage.COMPLETED, Stage.UNPOLLED}


@dataclass(frozen=True)
class Attempt:
    """What a folder was to show: the death of a worker of this target at this point."""

    target: Target
    crash_point: CrashPoint
    reference: Reference


def judge_try(folder: Path, attempt: Attempt, began_at: datetime, ended_at: datetime) -> Try:
    """What one worker's death at one moment came to."""
    evidence = explained(attempt.target.load_evidence(folder), attempt.target)
    findings = findings_of(evidence, attempt)
    (asked,) = evidence.specs
    workflow = evidence.workflows.get(asked.workflow_id)
    hit = read_hit(folder)
    hits = proven(evidence, attempt.crash_point, attempt.reference)
    return Try(
        crash_point=attempt.crash_point.name,
        workflow_id=asked.workflow_id,
        began_at=began_at,
        ended_at=ended_at,
        verdict=verdict_of(findings),
        reason=reason_of(findings),
        proven=tuple(point.name for point in hits),
        pid=hit.pid if hit else None,
        status=workflow.status if workflow else Status.LOST,
        billed_usd=sum((bill.amount_usd for bill in evidence.bills), Decimal(0)),
        ideal_usd=evidence.cost_usd(asked),
        in_doubt=len(evidence.in_doubt),
        recovery_seconds=recovery_seconds(workflow, hit) if workflow and hit else None,
    )


def findings_of(evidence: Evidence, attempt: Attempt) -> Sequence[Finding]:
    """The proof that it was hit, then all that must hold whatever was hit."""
    point, reference = attempt.crash_point, attempt.reference
    held = {check.name: check for check in (*SURVIVAL, *attempt.target.invariants)}
    checks = (was_killed_there(point), *held.values(), attempts_are_explained(point, reference))
    return [check.examine(evidence) for check in checks]


def broken_try(crash_point: CrashPoint, workflow_id: str, began_at: datetime, why: str) -> Try:
    """A try that could not be carried out, of which nothing is known."""
    return Try(
        crash_point=crash_point.name,
        workflow_id=workflow_id,
        began_at=began_at,
        ended_at=datetime.now(UTC),
        verdict=Verdict.UNKNOWN,
        reason=why,
    )


def explained(evidence: Evidence, target: Target) -> Evidence:
    """The evidence with its spec as the kill has it: a charge may be billed again whose paid
    request had left the dead worker, unless its activity was about to report. The n-th paid request
    is that of the n-th charge; of a target whose requests cost nothing when they come again, none
    is paid.

    The worker's own lines tell, not the moment alone: another of its tasks may have been further.
    A request that has not left cannot have been billed.
    """
    hit = read_hit(evidence.folder)
    if hit is None:
        return evidence
    own = [line for line in read_passed(evidence.folder) if line.pid == hit.pid]
    moments = [*(line.moment for line in own), hit.moment]
    paid = [line.moment for line in own if _is_paid(line, target)]
    (asked,) = evidence.specs
    doubtful = [
        charge.key
        for call, charge in zip(paid, asked.charges, strict=False)
        if Moment(actor=Actor.ACTIVITY, number=call.number, stage=Stage.COMPLETING) not in moments
    ]
    excused = (*asked.may_be_charged_twice, *doubtful)
    return replace(evidence, specs=(asked.model_copy(update={"may_be_charged_twice": excused}),))


def _is_paid(line: Passed, target: Target) -> bool:
    """Whether a request leaves that costs money."""
    kind, _, request = line.what.partition(" ")
    return line.moment.stage is Stage.LEAVING and target.is_paid(kind, request)


def attempts_are_explained(crash_point: CrashPoint, reference: Reference) -> Invariant:
    """The activity that was struck is tried once more, no other is, and none is scheduled anew.

    One that was open when the worker died may have been given to a poll of its, or not. Each of its
    connections can lose one attempt so: where the worker broke one before, there were two.
    """
    moment = crash_point.stop.moment
    most = 3 if moment.stage is Stage.UNPOLLED else 2
    is_struck = moment.actor in {Actor.ACTIVITY, Actor.CALL} and moment.stage not in _OVER

    def judge(evidence: Evidence) -> Iterator[str]:
        hit = read_hit(evidence.folder)
        if hit is None:
            return
        (workflow,) = evidence.workflows.values()
        if (found := len(workflow.activities)) != reference.events.count(_SCHEDULED):
            yield f"{found} activities were scheduled, not {reference.events.count(_SCHEDULED)}"
        for place, activity in enumerate(workflow.activities, start=1):
            fewest = 2 if is_struck and place == moment.number else 1
            allowed = range(fewest, (most if _is_open(activity, hit.at) else 1) + 1)
            if activity.attempt not in allowed:
                yield f"{activity.kind}, activity {place}, took {activity.attempt} attempt(s)"

    return Invariant("attempts_are_explained", judge)


def _is_open(activity: Activity, at: datetime) -> bool:
    return activity.scheduled_at <= at and (activity.closed_at is None or at < activity.closed_at)

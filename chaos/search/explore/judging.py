"""From a try's folder to what is known of it. Pure: it can be done again from the files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from chaos.evidence.case import Evidence
from chaos.evidence.history import Activity, Status
from chaos.experiment.judge import reason_of, verdict_of
from chaos.experiment.scenario import COMMON
from chaos.invariants import Invariant
from chaos.invariants.attempts import attempts_are_as_expected
from chaos.invariants.verdict import Finding, Verdict
from chaos.search.explore.keep import read_hit, read_passed
from chaos.search.explore.moments import Actor, Moment, Passed, Stage
from chaos.search.explore.plan import PAID, Reference, Target
from chaos.search.explore.proofs import proven, recovery_seconds, was_killed_there
from chaos.search.explore.state import Try
from workflows.paid_calls import WASTED

_SCHEDULED = "ACTIVITY_TASK_SCHEDULED"
_OVER = {Stage.COMPLETED, Stage.UNPOLLED}
_HOLDS = tuple(check for check in COMMON if check is not attempts_are_as_expected)


def judge_try(
    folder: Path, target: Target, reference: Reference, began_at: datetime, ended_at: datetime
) -> Try:
    """What one worker's death at one moment came to."""
    evidence = explained(Evidence.load(folder))
    findings = findings_of(evidence, target, reference)
    (asked,) = evidence.specs
    workflow = evidence.workflows.get(asked.workflow_id)
    hit = read_hit(folder)
    return Try(
        target=target.name,
        workflow_id=asked.workflow_id,
        began_at=began_at,
        ended_at=ended_at,
        verdict=verdict_of(findings),
        reason=reason_of(findings),
        proven=tuple(point.name for point in proven(evidence, target, reference)),
        pid=hit.pid if hit else None,
        status=workflow.status if workflow else Status.LOST,
        billed_usd=sum((bill.amount_usd for bill in evidence.billed), Decimal(0)),
        ideal_usd=evidence.ideal_cost_usd(asked),
        ambiguous=sum(call.state in WASTED for call in evidence.paid_calls),
        recovery_seconds=recovery_seconds(workflow, hit) if workflow and hit else None,
    )


def findings_of(evidence: Evidence, target: Target, reference: Reference) -> Sequence[Finding]:
    """The proof that it was hit, then all that must hold whatever was hit."""
    checks = (was_killed_there(target), *_HOLDS, attempts_are_explained(target, reference))
    return [check.examine(evidence) for check in checks]


def broken_try(
    target: Target, workflow_id: str, began_at: datetime, why: str, ended_at: datetime | None = None
) -> Try:
    """A try that could not be carried out, of which nothing is known."""
    return Try(
        target=target.name,
        workflow_id=workflow_id,
        began_at=began_at,
        ended_at=ended_at or datetime.now(UTC),
        verdict=Verdict.UNKNOWN,
        reason=why,
    )


def explained(evidence: Evidence) -> Evidence:
    """The evidence with its expectation as the kill has it: a paid request may be billed again that
    had left the dead worker, whose activity was not about to report yet.

    The worker's own lines tell, not the moment alone: another of its tasks may have been further.
    A request that has not left cannot have been billed.
    """
    hit = read_hit(evidence.folder)
    if hit is None:
        return evidence
    own = [line.moment for line in lines_of(evidence, hit)]
    paid = [line.moment for line in lines_of(evidence, hit) if is_departure(line)]
    (asked,) = evidence.specs
    doubtful = [
        prompt
        for call, prompt in zip(paid, asked.prompts, strict=False)
        if Moment(actor=Actor.ACTIVITY, number=call.number, stage=Stage.COMPLETING)
        not in (*own, hit.moment)
    ]
    changed = asked.model_copy(update={"may_be_charged_twice": tuple(doubtful)})
    return replace(evidence, specs=(changed,))


def lines_of(evidence: Evidence, hit: Passed) -> Sequence[Passed]:
    """What the dead worker passed before."""
    return [line for line in read_passed(evidence.folder) if line.pid == hit.pid]


def is_departure(line: Passed) -> bool:
    """Whether a request leaves that costs money."""
    return line.moment.stage is Stage.LEAVING and line.what.endswith(PAID)


def attempts_are_explained(target: Target, reference: Reference) -> Invariant:
    """The activity that was struck is tried once more, no other is, and none is scheduled anew.

    One that was open when the worker died may have been given to a poll of its, or not. Each of its
    connections can lose one attempt so: where the worker broke one before, there were two.
    """
    moment = target.stop.moment
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

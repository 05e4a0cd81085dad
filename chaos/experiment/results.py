"""`results.json`: the outcome of a run, stable for tools. Times in seconds, money in USD."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from chaos.environment.temporal import Topology
from chaos.evidence.bills import InDoubt, Mode, SuiteEstimate, Usd
from chaos.evidence.case import Evidence
from chaos.evidence.headroom import Strain
from chaos.evidence.history import Status
from chaos.evidence.journal import Event
from chaos.evidence.text import writable
from chaos.experiment import cost
from chaos.experiment.cost import ZERO
from chaos.experiment.coverage import Coverage, case_coverage, run_coverage
from chaos.experiment.judge import proofs, reason_of, verdict_of
from chaos.experiment.scenario import Case, Scenario
from chaos.invariants.antipatterns import Notice, notices
from chaos.invariants.figures import Figure
from chaos.invariants.goals import GoalResult, case_goals, run_goals
from chaos.invariants.recovers import recovers_within_its_bound
from chaos.invariants.recovery import Recovery, met_work, recoveries, repeated_attempts
from chaos.invariants.verdict import Finding, Verdict, merge

Seconds = Annotated[float, Field(ge=0, lt=1e9, allow_inf_nan=False)]
Difference = Annotated[float, Field(gt=-1e9, lt=1e9, allow_inf_nan=False)]
"""Seconds between the clocks of several programs."""
Count = Annotated[int, Field(ge=0, lt=1_000_000_000)]


class Result(BaseModel):
    """A part of `results.json`. Older versions did not write the fields that have a default;
    `model_fields_set` has the ones that were written.
    """

    model_config = ConfigDict(frozen=True)

    @field_validator("*")
    @classmethod
    def _can_be_written(cls, value: object) -> object:
        """A text that cannot be encoded must not prevent the results from being written."""
        return _writable(value)


def _writable(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(map(_writable, value))
    if isinstance(value, dict):
        return {_writable(key): _writable(each) for key, each in value.items()}
    return writable(value) if type(value) is str else value


class FaultResult(Result):
    """One planned fault; `hit` is whether it hit work in flight and all proofs of its case hold.
    `repeated_attempts` counts the attempts beyond the first of the activities that it hit.
    """

    kind: str
    target: str
    at: AwareDatetime
    hit: bool
    recovery_s: Recovery | None = None
    repeated_attempts: Count = 0


class WorkflowResult(Result):
    """One expected workflow; `history` is relative to the run's folder, None where it is lost.
    `expected` is the status that it should have at the end: some should still run.
    """

    workflow_id: str
    run_id: str | None
    status: Status
    history: str | None
    expected: Status = Status.COMPLETED

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or runs as it should."""
        return self.status not in {Status.RUNNING, Status.LOST} or self.status is self.expected


class LoadResult(Result):
    """How well a worker's slots were used: `ideal_s` is the activities' work ÷ slots."""

    workflows: Count
    wall_s: Difference
    work_s: Difference
    ideal_s: Difference


class CheckResult(Result):
    """What one check found. A proof shows that the fault hit."""

    check: str
    verdict: Verdict
    problems: tuple[str, ...]
    is_proof: bool = False


class CaseResult(Result):
    """One case. The bills of a `control` are its own and count in no sum.

    `waste_usd` is by the services' bills, `possible_waste_usd` what the calls in doubt
    (`ambiguous`) of the workers' payment journal may have cost; `saved_usd` is what the checkpoints
    saved. `figures` are what the case measured of its own, each with its bound, `notices` the
    anti-patterns that its histories show, `coverage` which fault hit which activity. `strain` is
    how starved the machine was, at the worst. `first_try` is the one whose verdict was unknown,
    where this is the second.
    """

    name: str
    control: bool
    verdict: Verdict
    reason: str
    duration_s: Seconds
    cost_usd: Usd
    ideal_cost_usd: Usd
    waste_usd: Usd = ZERO
    possible_waste_usd: Usd = ZERO
    saved_usd: Usd = ZERO
    ambiguous: tuple[InDoubt, ...] = ()
    billed: dict[str, Count]
    faults: tuple[FaultResult, ...]
    load: LoadResult | None
    workflows: tuple[WorkflowResult, ...]
    checks: tuple[CheckResult, ...]
    figures: tuple[Figure, ...] = ()
    notices: tuple[Notice, ...] = ()
    coverage: Coverage = Coverage()
    goals: tuple[GoalResult, ...] = ()
    strain: Strain | None = None
    first_try: CaseResult | None = None


class ScenarioResult(Result):
    """One row of the table. `fault` and `recovery_s` are those of the slowest recovery."""

    number: int
    name: str
    title: str
    status: Literal["complete", "incomplete"]
    verdict: Verdict
    reason: str
    duration_s: Seconds
    cost_usd: Usd
    ideal_cost_usd: Usd
    waste_usd: Usd = ZERO
    possible_waste_usd: Usd = ZERO
    saved_usd: Usd = ZERO
    ambiguous: tuple[InDoubt, ...] = ()
    billed: dict[str, Count]
    fault: FaultResult | None
    recovery_s: Recovery | None
    workflows: tuple[WorkflowResult, ...]
    cases: tuple[CaseResult, ...]

    @property
    def first_tries(self) -> tuple[tuple[CaseResult, CaseResult], ...]:
        """The cases that had a second try, each with its first."""
        return tuple((case, case.first_try) for case in self.cases if case.first_try)


class NotRun(Result):
    """A scenario that was chosen and cannot run in this mode or topology. It has no verdict."""

    number: int
    name: str
    title: str
    reason: str


class Overall(Result):
    """How many of the scenarios that ran have passed; `not_run` of those chosen are beside them."""

    passed: Count
    total: Count
    not_run: Count = 0


class RunResult(Result):
    """The whole of `results.json`. `cpu_s` are CPU seconds by kind of process, `workflows` is the
    load that the user chose; older versions did not record it. `coverage` and `goals`
    are those of all cases.
    """

    schema_version: Literal[1] = Field(default=1, alias="schema", serialization_alias="schema")
    run_id: str
    started_at: AwareDatetime
    mode: Mode = Mode.MOCKED
    budget_usd: Usd | None = None
    paid_usd: Usd | None = None
    suite_estimates: tuple[SuiteEstimate, ...] = ()
    topology: Topology = Topology.DEV
    seed: int | None = None
    workflows: Count | None = None
    versions: dict[str, str]
    cpu_s: dict[str, Seconds] = {}
    scenarios: tuple[ScenarioResult, ...]
    not_run: tuple[NotRun, ...] = ()
    coverage: Coverage = Coverage()
    goals: tuple[GoalResult, ...] = ()
    overall: Overall

    @property
    def unmet(self) -> Sequence[GoalResult]:
        """The goals that no case has met: with one, the run is unknown at best."""
        return [goal for goal in self.goals if not goal.met]

    @property
    def verdict(self) -> Verdict:
        """That of the whole run; unknown where nothing ran."""
        doubt = [Verdict.UNKNOWN] if self.unmet or not self.scenarios else []
        return merge([*(scenario.verdict for scenario in self.scenarios), *doubt])


def case_result(
    case: Case, evidence: Evidence, findings: Sequence[Finding], *, root: Path, duration_s: float
) -> CaseResult:
    """Put the findings of a case and the figures of its evidence together."""
    proven = {check.name for check in proofs(case)}
    hit = all(f.verdict is Verdict.PASSED for f in findings if f.check in proven)
    ambiguous = tuple(InDoubt.model_validate(each.model_dump()) for each in evidence.in_doubt)
    return CaseResult(
        name=case.name,
        control=case.must_fail is not None,
        verdict=verdict_of(findings),
        reason=reason_of(findings),
        duration_s=round(duration_s, 3),
        cost_usd=cost.billed_usd(evidence),
        ideal_cost_usd=cost.ideal_usd(evidence),
        waste_usd=cost.waste_usd(evidence),
        possible_waste_usd=cost.possible_waste_usd(ambiguous),
        saved_usd=cost.saved_usd(evidence),
        ambiguous=ambiguous,
        billed=dict(Counter(str(bill.item) for bill in evidence.bills)),
        faults=_faults(case, evidence, hit=hit and not evidence.troubles),
        load=_load(evidence, case.target.slots) if case.target.slots else None,
        workflows=tuple(_workflows(evidence, root)),
        checks=check_results(findings, proven),
        figures=_figures(case, evidence),
        notices=_notices(evidence),
        coverage=_coverage(evidence),
        goals=case_goals(case.goals, evidence),
        strain=evidence.strain,
    )


def _figures(case: Case, evidence: Evidence) -> tuple[Figure, ...]:
    """Its figures; none where they cannot be computed, which `keeps_its_bounds` reports."""
    try:
        return tuple(case.figures(evidence))
    except Exception:  # noqa: BLE001 - a function of the user's; it must not cost the findings
        return ()


def _notices(evidence: Evidence) -> tuple[Notice, ...]:
    """The anti-patterns; none where a damaged history does not tell: verdicts need them not."""
    try:
        return tuple(notices(evidence))
    except Exception:  # noqa: BLE001 - damage has many forms; it must not cost the findings
        return ()


def _coverage(evidence: Evidence) -> Coverage:
    """What its faults hit; nothing where a damaged record does not tell: verdicts need it not."""
    try:
        return case_coverage(evidence)
    except Exception:  # noqa: BLE001 - damage has many forms; it must not cost the findings
        return Coverage()


def check_results(
    findings: Sequence[Finding], proofs: Container[str] = ()
) -> tuple[CheckResult, ...]:
    """The findings in the form of `results.json`; those named by `proofs` are marked."""
    return tuple(
        CheckResult(
            check=f.check,
            verdict=f.verdict,
            problems=tuple(f.problems),
            is_proof=f.check in proofs,
        )
        for f in findings
    )


def broken_case_result(case: Case, reason: str) -> CaseResult:
    """A case that left no evidence to judge: unknown."""
    return CaseResult(
        name=case.name,
        control=case.must_fail is not None,
        verdict=Verdict.UNKNOWN,
        reason=reason,
        duration_s=0.0,
        cost_usd=ZERO,
        ideal_cost_usd=ZERO,
        waste_usd=ZERO,
        possible_waste_usd=ZERO,
        saved_usd=ZERO,
        ambiguous=(),
        billed={},
        faults=(),
        load=None,
        workflows=(),
        checks=(CheckResult(check="evidence", verdict=Verdict.UNKNOWN, problems=(reason,)),),
    )


def scenario_result(scenario: Scenario, cases: Sequence[CaseResult]) -> ScenarioResult:
    """Sum up a scenario's cases. They run side by side: the longest is its duration."""
    counted = [case for case in cases if not case.control]
    verdict = merge(case.verdict for case in cases)
    faults = [fault for case in counted for fault in case.faults]
    slowest = max(faults, key=lambda f: f.recovery_s.total if f.recovery_s else 0.0, default=None)
    workflows = tuple(workflow for case in counted for workflow in case.workflows)
    ended = all(workflow.is_over for workflow in workflows)
    return ScenarioResult(
        number=scenario.number,
        name=scenario.name,
        title=scenario.title,
        status="complete" if workflows and ended else "incomplete",
        verdict=verdict,
        reason="; ".join(
            case.reason if len(cases) == 1 else f"{case.name}: {case.reason}"
            for case in cases
            if case.verdict is verdict
        ),
        duration_s=max(case.duration_s for case in cases),
        cost_usd=sum((case.cost_usd for case in counted), ZERO),
        ideal_cost_usd=sum((case.ideal_cost_usd for case in counted), ZERO),
        waste_usd=sum((case.waste_usd for case in counted), ZERO),
        possible_waste_usd=sum((case.possible_waste_usd for case in counted), ZERO),
        saved_usd=sum((case.saved_usd for case in counted), ZERO),
        ambiguous=tuple(call for case in counted for call in case.ambiguous),
        billed=dict(sum((Counter(case.billed) for case in counted), Counter())),
        fault=slowest,
        recovery_s=slowest.recovery_s if slowest else None,
        workflows=workflows,
        cases=tuple(cases),
    )


def coverage_of(scenarios: Sequence[ScenarioResult]) -> Coverage:
    """What all cases of a run have tried, and what none of them has."""
    cases = [case for scenario in scenarios for case in scenario.cases]
    faults = ((fault.kind, fault.target) for case in cases for fault in case.faults)
    return run_coverage((case.coverage for case in cases), faults)


def goals_of(scenarios: Sequence[ScenarioResult]) -> tuple[GoalResult, ...]:
    """The goals of all cases of a run."""
    return run_goals(case.goals for scenario in scenarios for case in scenario.cases)


def _faults(case: Case, evidence: Evidence, *, hit: bool) -> tuple[FaultResult, ...]:
    """All of them. Only what a case is judged by is a bound: one that keeps its workers away on
    purpose does not ask for the target's promise.
    """
    found, repeated = recoveries(evidence), repeated_attempts(evidence)
    if all(check.name != recovers_within_its_bound.name for check in case.invariants):
        found = {at: each.model_copy(update={"bound": math.inf}) for at, each in found.items()}
    return tuple(
        FaultResult(
            kind=entry.kind or "",
            target=entry.target or "",
            at=entry.at,
            hit=hit and met_work(evidence, entry),
            recovery_s=found.get(entry.at),
            repeated_attempts=repeated[entry.at],
        )
        for entry in evidence.journal
        if entry.event is Event.FAULT
    )


def _workflows(evidence: Evidence, root: Path) -> list[WorkflowResult]:
    found = []
    for expected in evidence.specs:
        workflow = evidence.workflows.get(expected.workflow_id)
        found.append(
            WorkflowResult(
                workflow_id=evidence.real_id(expected.workflow_id),
                run_id=workflow.runs[-1].run_id if workflow else None,
                status=workflow.status if workflow else Status.LOST,
                expected=expected.status,
                history=str(evidence.history_file(workflow).relative_to(root))
                if workflow
                else None,
            )
        )
    return found


def _load(evidence: Evidence, slots: int) -> LoadResult | None:
    """Of cases with several completed workflows on one worker."""
    workflows = list(evidence.workflows.values())
    ends = [workflow.closed_at for workflow in workflows if workflow.closed_at]
    activities = [activity for workflow in workflows for activity in workflow.activities]
    begins = [activity.started_at for activity in activities if activity.started_at]
    if len(workflows) < 2 or len(ends) < len(workflows) or any(a.attempt > 1 for a in activities):
        return None
    work_s = sum(
        (a.closed_at - a.started_at).total_seconds()
        for a in activities
        if a.started_at and a.closed_at
    )
    return LoadResult(
        workflows=len(workflows),
        wall_s=round((max(ends) - min(begins)).total_seconds(), 3),
        work_s=round(work_s, 3),
        ideal_s=round(work_s / slots, 3),
    )

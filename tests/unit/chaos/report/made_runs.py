"""Results as a run writes them, made by hand, so that each figure can be chosen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from chaos.evidence.history import Status
from chaos.experiment.results import (
    CaseResult,
    CheckResult,
    FaultResult,
    NotRun,
    Overall,
    RunResult,
    ScenarioResult,
    WorkflowResult,
    scenario_result,
)
from chaos.experiment.scenario import Scenario
from chaos.invariants.recovery import Recovery
from chaos.invariants.verdict import Verdict

STARTED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def a_recovery(
    detect: float = 10.0, reschedule: float = 10.0, restart: float = 1.0, redo: float = 5.0
) -> Recovery:
    return Recovery(
        total=detect + reschedule + restart + redo,
        detect=detect,
        reschedule=reschedule,
        restart=restart,
        redo=redo,
        bound=44.0,
    )


def a_fault(
    recovery: Recovery | None = None, *, target: str = "worker-1", repeated_attempts: int = 1
) -> FaultResult:
    return FaultResult(
        kind="kill",
        target=target,
        at=STARTED_AT,
        hit=True,
        recovery_s=recovery,
        repeated_attempts=repeated_attempts,
    )


def a_case(
    name: str = "one", *problems: str, verdict: Verdict = Verdict.PASSED, **given: Any
) -> CaseResult:
    """One that passed, or one with these problems of the check `it_holds`."""
    if problems and verdict is Verdict.PASSED:
        verdict = Verdict.FAILED
    values: dict[str, Any] = {
        "control": False,
        "duration_s": 40.0,
        "cost_usd": Decimal("1.239"),
        "ideal_cost_usd": Decimal("1.239"),
        "waste_usd": Decimal(0),
        "possible_waste_usd": Decimal(0),
        "saved_usd": Decimal("1.20"),
        "ambiguous": (),
        "billed": {"image": 1, "video": 1},
        "faults": (a_fault(a_recovery()),),
        "load": None,
        "workflows": (
            WorkflowResult(
                workflow_id=f"{name}-1", run_id="r", status=Status.COMPLETED, history=None
            ),
        ),
        "checks": (CheckResult(check="it_holds", verdict=verdict, problems=problems),),
    }
    reason = "; ".join(problems) or "1 checks hold"
    return CaseResult(name=name, verdict=verdict, reason=reason, **(values | given))


def a_scenario(name: str = "crash", *cases: CaseResult, number: int = 1) -> ScenarioResult:
    meant = Scenario(number=number, name=name, title=name.title(), cases=())
    return scenario_result(meant, cases or (a_case(),))


def a_run(*scenarios: ScenarioResult, not_run: Sequence[NotRun] = (), **given: Any) -> RunResult:
    passed = sum(scenario.verdict is Verdict.PASSED for scenario in scenarios)
    values: dict[str, Any] = {
        "run_id": "2026-01-02T03-04-05Z",
        "started_at": STARTED_AT,
        "versions": {"server": "1.31.2"},
        "overall": Overall(passed=passed, total=len(scenarios), not_run=len(not_run)),
    }
    return RunResult(scenarios=scenarios, not_run=tuple(not_run), **(values | given))

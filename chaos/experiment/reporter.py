"""Emits the events of a run: its plan, and each case's journal, stages and ended workflows."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path

from chaos.environment.target import Target
from chaos.evidence.headroom import Strain
from chaos.evidence.journal import Event, Journal
from chaos.evidence.spec import WorkflowSpec, cost_usd
from chaos.experiment.events import (
    CaseName,
    Emit,
    Journaled,
    Planned,
    PlannedCase,
    Reached,
    Stage,
    WorkflowEnded,
)
from chaos.experiment.lab import Options
from chaos.experiment.scenario import Case, Scenario


class CaseReporter:
    """Emits the events of one case, and writes its journal."""

    def __init__(self, case: CaseName, path: Path, emit: Emit) -> None:
        self._case = case
        self._emit = emit
        self.journal = Journal(path, lambda entry: emit(Journaled(case, entry)))

    def strained(self, strain: Strain) -> None:
        """How starved the machine was since the last entry."""
        self.journal.add(Event.STRAIN, strain=strain)

    def reached(self, stage: Stage) -> None:
        """It has reached its next stage."""
        self._emit(Reached(self._case, stage))

    def ended(self, workflow_id: str) -> None:
        """One of its workflows has ended."""
        self._emit(WorkflowEnded(self._case, workflow_id))


def plan(scenarios: Sequence[Scenario], options: Options, folder: Path) -> Planned:
    """What will run in that folder, and its ideal cost."""
    return Planned(
        tuple(
            PlannedCase(
                name=case_name(scenario, case),
                workflows=len(load),
                ideal_usd=sum((cost_usd(spec, case.target.billing) for spec in load), Decimal(0)),
                control=case.must_fail is not None,
                billed_usd=partial(_billed_usd, case.target, case_folder(folder, scenario, case)),
            )
            for scenario in scenarios
            for case in scenario.cases
            for load in (_load_of(case, options),)
        )
    )


def _load_of(case: Case, options: Options) -> Sequence[WorkflowSpec]:
    """The workflows that it starts. A `load` that raises is called again when the case runs."""
    try:
        return case.load(options)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - pytest's own outcomes and SystemExit are no Exceptions
        return ()


def _billed_usd(target: Target, folder: Path) -> Decimal:
    """What was billed so far. Raises whatever the target's own reading raises."""
    return sum((bill.amount_usd for bill in target.bills(folder)), Decimal(0))


def case_name(scenario: Scenario, case: Case) -> CaseName:
    """Its name in all events."""
    return CaseName(scenario.name, case.name, alone=len(scenario.cases) == 1)


def case_folder(root: Path, scenario: Scenario, case: Case) -> Path:
    """The folder of a case below a run's folder, or its scratch."""
    return root / scenario.name / case.name

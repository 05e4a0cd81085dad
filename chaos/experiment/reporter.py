"""Emits the events of a run: its plan, and of each case its journal, its stages, what has ended."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path

from chaos.environment.target import Target
from chaos.evidence.headroom import Strain
from chaos.evidence.journal import Event, Journal
from chaos.evidence.spec import cost_usd
from chaos.experiment.events import (
    Announce,
    CaseName,
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
    """A case's journal, and all else that is told of the case."""

    def __init__(self, case: CaseName, path: Path, announce: Announce) -> None:
        self._case = case
        self._announce = announce
        self.journal = Journal(path, lambda entry: announce(Journaled(case, entry)))

    def strained(self, strain: Strain) -> None:
        """So starved was the machine since it was last told."""
        self.journal.add(Event.STRAIN, strain=strain)

    def reached(self, stage: Stage) -> None:
        """It has come to its next stage."""
        self._announce(Reached(self._case, stage))

    def ended(self, workflow_id: str) -> None:
        """One of its workflows has ended."""
        self._announce(WorkflowEnded(self._case, workflow_id))


def plan(scenarios: Sequence[Scenario], options: Options, folder: Path) -> Planned:
    """What will run in that folder, and what it would cost without any waste."""
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
            for load in (case.load(options),)
        )
    )


def _billed_usd(target: Target, folder: Path) -> Decimal:
    """What was billed so far. Raises whatever the target's own reading raises."""
    return sum((bill.amount_usd for bill in target.bills(folder)), Decimal(0))


def case_name(scenario: Scenario, case: Case) -> CaseName:
    """What it is called in all that is told."""
    return CaseName(scenario.name, case.name, alone=len(scenario.cases) == 1)


def case_folder(root: Path, scenario: Scenario, case: Case) -> Path:
    """Where a case has its place below a run's folder, or its scratch."""
    return root / scenario.name / case.name

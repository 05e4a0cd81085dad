"""The events of a run before and while it goes on."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

from chaos.evidence.journal import Event, read_journal
from chaos.experiment.events import CaseName, Journaled, Reached, RunEvent, Stage, WorkflowEnded
from chaos.experiment.lab import Options
from chaos.experiment.reporter import CaseReporter, plan
from tests.chaos.video.scenarios.catalogue import all_scenarios
from tests.unit.kept import EVIDENCE


def test_a_case_tells_what_it_journals_and_what_it_does_not(tmp_path: Path) -> None:
    events: list[RunEvent] = []
    case = CaseName("concurrency", "one_worker", alone=True)
    reporter = CaseReporter(case, tmp_path / "journal.jsonl", events.append)

    reporter.reached(Stage.STARTING)
    entry = reporter.journal.add(Event.STAGE, "worker-1 is ready")
    reporter.ended("w")
    reporter.journal.close()

    assert events == [
        Reached(case, Stage.STARTING),
        Journaled(case, entry),
        WorkflowEnded(case, "w"),
    ]
    assert read_journal(tmp_path / "journal.jsonl") == (entry,)


def test_the_plan_names_every_case_with_its_workflows_its_ideal_cost_and_its_bills(
    tmp_path: Path,
) -> None:
    planned = {case.name: case for case in plan(all_scenarios(), Options(7), tmp_path).cases}

    assert len(planned) == sum(len(scenario.cases) for scenario in all_scenarios())
    load = planned[CaseName("concurrency", "one_worker", alone=True)]
    assert (load.workflows, load.ideal_usd, load.control) == (7, 7 * Decimal("1.239"), False)
    assert load.billed_usd() == 0
    shutil.copytree(
        EVIDENCE / "concurrency" / "one_worker", tmp_path / "concurrency" / "one_worker"
    )
    assert load.billed_usd() == Decimal("6.195")
    assert planned[CaseName("server_restart", "control_in_memory")].control

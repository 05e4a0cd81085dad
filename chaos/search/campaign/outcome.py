"""A scenario that is run as a case of a campaign, and what it has shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from chaos.experiment.events import Reached
from chaos.experiment.results import CaseResult
from chaos.experiment.scenario import Scenario
from chaos.search.campaign.broke import broke_of
from chaos.search.campaign.found import Found, Say
from chaos.search.campaign.model import Stage
from chaos.search.campaign.novelty import cells_of, shapes_of


def telling(say: Say) -> Callable[[object], None]:
    """Tells of a run's events how far its cases are."""

    def emit(event: object) -> None:
        if isinstance(event, Reached):
            say(Stage(event.stage))

    return emit


def found_of(case: CaseResult, scenario: Scenario, folder: Path) -> Found:
    """What a case has shown; its evidence is below the folder."""
    evidence = folder / scenario.name / case.name
    target = scenario.cases[0].target
    try:
        shapes = shapes_of(target.load_evidence(evidence).all_workflows)
    except Exception:  # noqa: BLE001 - damage has many forms; the verdict says what it is worth
        shapes = ()
    return Found(
        verdict=case.verdict,
        reason=case.reason,
        broke=broke_of(case.checks, (each.workflow_id for each in case.workflows)),
        cells=cells_of(case.coverage),
        shapes=shapes,
        found=case.model_dump_json(),
    )

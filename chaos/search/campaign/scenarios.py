"""The cases of a project's scenarios, as cases of a campaign."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from chaos.environment.temporal import Topology
from chaos.evidence.bills import Mode
from chaos.experiment.catalogue import (
    CatalogueError,
    known_scenarios,
    project_of,
    scenarios_of,
    target_named,
)
from chaos.experiment.scenario import Case, Scenario, in_mode, on_topology
from chaos.search.campaign.model import Campaign, CaseKind, CaseRef, Scenarios
from chaos.search.campaign.planned import PlannedCase
from chaos.search.campaign.plans import valid_name


def planned_scenarios(campaign: Campaign, work: Scenarios, folder: Path) -> Sequence[PlannedCase]:
    """All cases that are asked for, of the project of a folder. Raises CatalogueError, also where
    it has no such scenario, or two cases of one name.
    """
    found = [
        PlannedCase(
            case=CaseRef(
                name=_name(scenario, case),
                kind=CaseKind.SCENARIO,
                about_seconds=case.about_seconds,
            ),
            group=scenario.name,
        )
        for scenario, case in _all(campaign, work, folder)
    ]
    name, times = Counter(each.case.name for each in found).most_common(1)[0] if found else ("", 0)
    if times > 1:
        raise CatalogueError(f"{times} cases are called {name}: give each a name of its own.")
    return found


def scenario_case(campaign: Campaign, name: str, folder: Path) -> Scenario:
    """A scenario with that case alone. Raises CatalogueError."""
    asked = campaign.work if isinstance(campaign.work, Scenarios) else Scenarios()
    for scenario, case in _all(campaign, asked, folder):
        if _name(scenario, case) == name:
            return replace(scenario, cases=(case,))
    raise CatalogueError(f"the project has no case {name} of a scenario.")


def _all(campaign: Campaign, work: Scenarios, folder: Path) -> Iterator[tuple[Scenario, Case]]:
    """Those that can run without paying, on a dev server."""
    project = project_of(folder)
    known = (
        known_scenarios([target_named(campaign.target, project)])
        if campaign.target
        else scenarios_of(project)
    )
    missing = sorted({*work.names} - {each.name for each in known})
    if missing:
        there = ", ".join(each.name for each in known) or "none"
        raise CatalogueError(f"there is no scenario {missing[0]!r}; the project has {there}.")
    for scenario in known:
        if not work.names or scenario.name in work.names:
            here = on_topology(in_mode(scenario, Mode.MOCKED), Topology.DEV)
            yield from ((scenario, case) for case in here.cases if not case.target.live)


def _name(scenario: Scenario, case: Case) -> str:
    return valid_name(f"{scenario.name}.{case.name}")

"""The cases of a project's scenarios: each has a name, by which it is found again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from chaos.experiment.catalogue import CatalogueError, targets_of
from chaos.invariants.verdict import Verdict
from chaos.search.campaign import names
from chaos.search.campaign.choose import choose
from chaos.search.campaign.found import ElsewhereError, Found
from chaos.search.campaign.machine import Machine
from chaos.search.campaign.model import Campaign, CaseKind, CaseRef, Scenarios, Turn
from chaos.search.campaign.runs import run_case
from chaos.search.campaign.scenarios import planned_scenarios, scenario_case
from chaos.search.campaign.store import is_name
from tests.unit.chaos.search.campaign.stores import Kept
from tests.unit.chaos.search.guest import GUEST

MODULE = "guest_of_a_campaign"
CODE = """
from chaos import Case, Mode, Scenario, StackSpec, Target

async def nothing(lab):
    pass

def case(name, **more):
    return Case(name, OWN, nothing, proofs=(), load=lambda _: (), invariants=(), **more)

def scenarios():
    return [
        Scenario("first", "First", (case("a", about_seconds=7), case("b"))),
        Scenario("paid", "Paid", (case("a", modes=frozenset({Mode.LIVE})),)),
        Scenario("second", "Second", (case("a"),)),
    ]

OWN = Target(worker=("true",), task_queue="q", scenarios=scenarios)
OTHER = Target(worker=("true",), task_queue="q")
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / f"{MODULE}.py").write_text(CODE)
    (tmp_path / "pyproject.toml").write_text(f'[tool.chaos]\ntargets = ["{MODULE}:OWN"]\n')
    yield tmp_path
    targets_of.cache_clear()
    sys.modules.pop(MODULE, None)


def _campaign(*names: str, target: str = "") -> Campaign:
    work = Scenarios(names=names)
    return Campaign(campaign_id="one", target=target, code="c", evidence="e", work=work)


def _planned(folder: Path, *names: str) -> list[tuple[str, float]]:
    campaign = _campaign(*names)
    found = planned_scenarios(campaign, Scenarios(names=names), folder)
    return [(each.case.name, each.case.about_seconds) for each in found]


def test_all_that_cost_nothing_are_cases(project: Path) -> None:
    assert _planned(project) == [("first.a", 7), ("first.b", 20), ("second.a", 20)]


def test_only_the_named_ones_are(project: Path) -> None:
    assert _planned(project, "second") == [("second.a", 20)]


def test_one_that_is_not_there_is_told(project: Path) -> None:
    with pytest.raises(CatalogueError, match="no scenario 'third'; the project has first, paid"):
        _planned(project, "second", "third")


def test_a_case_is_found_by_its_name_and_is_alone(project: Path) -> None:
    found = scenario_case(_campaign(), "first.b", project)

    assert (found.name, [case.name for case in found.cases]) == ("first", ["b"])


def test_a_case_that_is_not_there_is_told(project: Path) -> None:
    with pytest.raises(CatalogueError, match=r"no case first\.c"):
        scenario_case(_campaign(), "first.c", project)


def test_a_named_target_has_its_own_scenarios(project: Path) -> None:
    campaign = _campaign(target=f"{MODULE}:OTHER")

    assert planned_scenarios(campaign, Scenarios(), project) == []


def test_two_cases_of_one_name_are_told(project: Path) -> None:
    """Else one verdict would count for both."""
    file = project / f"{MODULE}.py"
    file.write_text(CODE.replace('Scenario("second", "Second"', 'Scenario("first", "Second"'))

    with pytest.raises(CatalogueError, match=r"2 cases are called first\.a"):
        _planned(project)


def test_a_name_that_no_file_may_have_is_made_one(project: Path) -> None:
    file = project / f"{MODULE}.py"
    file.write_text(CODE.replace('case("b")', 'case("b [1] / 2")'))

    ((name, _),) = [each for each in _planned(project) if each[0].startswith("first.b")]

    assert is_name(names.verdict(name))
    assert scenario_case(_campaign(), name, project).cases[0].name == "b [1] / 2"


def test_a_turn_has_those_of_the_project_of_this_folder(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)

    batch = choose(_campaign(), Turn(number=1, most=9), Kept(), GUEST)

    assert [case.name for case in batch.cases] == ["second.a", "first.a", "first.b"]
    assert (batch.is_last, batch.total) == (True, 3)


def _machine(project: Path) -> Machine:
    return cast("Machine", SimpleNamespace(project=project, name="here"))


async def _run_second(project: Path, old: str, new: str) -> Found:
    file = project / f"{MODULE}.py"
    file.write_text(CODE.replace(old, new))
    ref = CaseRef(name="second.a", kind=CaseKind.SCENARIO)
    return await run_case(_campaign(), ref, _machine(project), Kept(), project, lambda _: None)


async def test_what_this_machine_lacks_another_may_have(project: Path) -> None:
    needs = 'case("a", needs=lambda: "docker is not installed"),)),\n    ]'
    with pytest.raises(ElsewhereError, match="cannot run on here: docker is not installed"):
        await _run_second(project, 'case("a"),)),\n    ]', needs)


async def test_a_target_whose_workers_are_there_already_is_of_no_machine(project: Path) -> None:
    there = 'Target(worker=(), task_queue="q", scen'
    found = await _run_second(project, 'Target(worker=("true",), task_queue="q", scen', there)
    assert found.verdict is Verdict.UNKNOWN
    assert "its workers are there already" in found.reason

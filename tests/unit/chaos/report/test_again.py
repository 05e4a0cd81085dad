"""The command that makes a run once more."""

from __future__ import annotations

import shlex
from decimal import Decimal

from chaos.environment.temporal import Topology
from chaos.evidence.bills import Mode
from chaos.experiment.results import LoadResult
from chaos.report.again import again, not_passed
from tests.unit.chaos.report.made_runs import a_case, a_run, a_scenario

RUN = a_run(a_scenario("good"), a_scenario("bad", a_case("one", "broke"), number=2))


def test_all_of_it_or_what_is_named() -> None:
    assert again(RUN) == "pytest -m chaos"
    assert again(RUN, ["good"]) == "pytest -m chaos -k good"
    assert again(RUN, ["good", "bad"]) == "pytest -m chaos -k 'good or bad'"


def test_what_did_not_pass_is_named() -> None:
    assert not_passed(RUN) == ["bad"]


def test_it_runs_where_and_as_it_ran() -> None:
    live = RUN.model_copy(
        update={
            "topology": Topology.POSTGRES,
            "mode": Mode.LIVE,
            "budget_usd": Decimal("2.50"),
        }
    )

    assert again(live) == "pytest -m chaos --topology postgres --live --budget 2.50"


def test_as_many_workflows_are_started_as_were_told() -> None:
    load = LoadResult(workflows=50, wall_s=9.0, work_s=9.0, ideal_s=3.0)
    loaded = a_run(a_scenario("good"), a_scenario("concurrency", a_case(load=load)))

    assert again(loaded) == "pytest -m chaos --workflows 50"
    assert again(loaded, ["concurrency"]) == "pytest -m chaos -k concurrency --workflows 50"
    assert again(loaded, ["good"]) == "pytest -m chaos -k good"


def test_schedules_from_a_seed_are_replayed_and_not_drawn_anew() -> None:
    seeded = RUN.model_copy(update={"seed": 7})

    assert again(seeded, ["seeded"]) == "pytest -m chaos --replay=reports/2026-01-02T03-04-05Z"


def test_a_hostile_name_is_one_word_for_the_shell() -> None:
    assert shlex.split(again(RUN, ["a; rm -rf $HOME"]))[-1] == "a; rm -rf $HOME"

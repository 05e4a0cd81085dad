"""The command that makes a run once more."""

from __future__ import annotations

import shlex
from decimal import Decimal

from chaos.environment.temporal import Topology
from chaos.evidence.bills import Mode
from chaos.report.again import again, not_passed
from tests.unit.chaos.report.made_runs import a_case, a_run, a_scenario

RUN = a_run(a_scenario("good"), a_scenario("bad", a_case("one", "broke"), number=2))


def test_all_of_it_or_what_is_named() -> None:
    assert again(RUN) == "python -m chaos run"
    assert again(RUN, ["good"]) == "python -m chaos run good"
    assert again(RUN, ["good", "bad"]) == "python -m chaos run good bad"


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

    assert again(live) == "python -m chaos run --topology postgres --live --budget 2.50"


def test_as_many_workflows_are_started_as_were_told() -> None:
    loaded = RUN.model_copy(update={"workflows": 50})
    usual = RUN.model_copy(update={"workflows": 5})

    assert again(loaded) == "python -m chaos run --workflows 50"
    assert again(loaded, ["good"]) == "python -m chaos run good --workflows 50"
    assert again(usual) == "python -m chaos run"


def test_schedules_from_a_seed_are_replayed_and_not_drawn_anew() -> None:
    seeded = RUN.model_copy(update={"seed": 7})

    assert again(seeded, ["seeded"]) == "python -m chaos run --replay=reports/2026-01-02T03-04-05Z"


def test_a_hostile_name_is_one_word_for_the_shell() -> None:
    assert shlex.split(again(RUN, ["a; rm -rf $HOME"]))[-1] == "a; rm -rf $HOME"

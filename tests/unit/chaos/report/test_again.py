"""The commands that bring something of a run back."""

from __future__ import annotations

import shlex
from decimal import Decimal
from pathlib import Path

import pytest

from chaos.environment.temporal import Topology
from chaos.evidence.bills import Mode
from chaos.experiment.results import RunResult
from chaos.report.again import Commands, again, not_passed
from tests.unit.chaos.report.html.runs import CRASH, EVIDENCE, PASSED, failed
from tests.unit.chaos.report.html.runs import a_run as a_kept_run
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


def test_scenarios_of_the_guide_are_run_again_as_such() -> None:
    of_the_guide = a_run(a_scenario("guide_no_network"))

    assert again(of_the_guide) == "python -m chaos run --guide"
    assert again(of_the_guide, ["guide_no_network"]) == (
        "python -m chaos run guide_no_network --guide"
    )


def test_a_hostile_name_is_one_word_for_the_shell() -> None:
    assert shlex.split(again(RUN, ["a; rm -rf $HOME"]))[-1] == "a; rm -rf $HOME"


def _lines(run: RunResult, folder: Path) -> list[str]:
    return [command.text for command in Commands(run, folder).of(run.scenarios[0])]


def test_a_scenario_is_run_again_by_its_name(tmp_path: Path) -> None:
    run = a_kept_run(tmp_path / "run", {CRASH: PASSED})

    assert _lines(run, tmp_path / "run") == [
        "python -m chaos run worker_crash",
        f"python -m chaos recheck {tmp_path / 'run'}",
    ]


def test_a_folder_below_this_one_is_named_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_kept_run(tmp_path / "my reports" / "run", {CRASH: PASSED})
    monkeypatch.chdir(tmp_path)

    assert _lines(run, tmp_path / "my reports" / "run")[-1].endswith("recheck 'my reports/run'")


def test_a_schedule_is_replayed_or_drawn_anew(tmp_path: Path) -> None:
    run = a_kept_run(tmp_path / "run", {CRASH: failed("it_holds", "it does not")}, seed=4)
    kept = EVIDENCE / "seeded" / "seed_4" / "schedule.json"
    file = tmp_path / "run" / "worker_crash" / "sigkill_twice" / "schedule.json"
    file.write_text(kept.read_text())
    commands = Commands(run, tmp_path / "run")
    scenario = run.scenarios[0]

    same, drawn = commands.of_case(scenario, scenario.cases[0])

    assert same.text == f"python -m chaos run --replay={file}"
    assert drawn.text.startswith("python -m chaos run --seed 4 --faults ")
    assert drawn.text.endswith(" --duration 12 --workflows 5")
    assert _lines(run, tmp_path / "run")[:2] == [
        f"python -m chaos run --replay={tmp_path / 'run'}",
        f"python -m chaos shrink {tmp_path / 'run'}",
    ]


def test_a_damaged_schedule_can_only_be_named(tmp_path: Path) -> None:
    run = a_kept_run(tmp_path / "run", {CRASH: PASSED}, seed=4)
    (tmp_path / "run" / "worker_crash" / "sigkill_twice" / "schedule.json").write_text("{")

    scenario = run.scenarios[0]
    (same,) = Commands(run, tmp_path / "run").of_case(scenario, scenario.cases[0])

    assert "--replay=" in same.text
    assert "shrink" not in "".join(_lines(run, tmp_path / "run"))

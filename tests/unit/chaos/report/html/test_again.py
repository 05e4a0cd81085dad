from __future__ import annotations

from pathlib import Path

import pytest

from chaos.environment.temporal import Topology
from chaos.experiment.results import RunResult
from chaos.report.html.again import Commands
from tests.unit.chaos.report.html.runs import CRASH, EVIDENCE, PASSED, a_run, failed


def _lines(run: RunResult, folder: Path) -> list[str]:
    return [command.text for command in Commands(run, folder).of(run.scenarios[0])]


def test_a_scenario_is_run_again_by_its_name(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", {CRASH: PASSED})

    assert _lines(run, tmp_path / "run") == [
        "python -m chaos run worker_crash",
        f"python -m chaos recheck {tmp_path / 'run'}",
    ]


def test_as_it_was_run(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", {CRASH: PASSED}, topology=Topology.POSTGRES)

    assert _lines(run, tmp_path / "run")[0].endswith("run worker_crash --topology postgres")
    assert Commands(run, tmp_path).of_all().text == "python -m chaos run --topology postgres"


def test_a_folder_below_this_one_is_named_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(tmp_path / "my reports" / "run", {CRASH: PASSED})
    monkeypatch.chdir(tmp_path)

    assert _lines(run, tmp_path / "my reports" / "run")[-1].endswith("recheck 'my reports/run'")


def test_a_schedule_is_replayed_or_drawn_anew(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", {CRASH: failed("it_holds", "it does not")}, seed=4)
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
    run = a_run(tmp_path / "run", {CRASH: PASSED}, seed=4)
    (tmp_path / "run" / "worker_crash" / "sigkill_twice" / "schedule.json").write_text("{")

    scenario = run.scenarios[0]
    (same,) = Commands(run, tmp_path / "run").of_case(scenario, scenario.cases[0])

    assert "--replay=" in same.text
    assert "shrink" not in "".join(_lines(run, tmp_path / "run"))

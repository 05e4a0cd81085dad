"""The command line, and what is left in the folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main, write
from benchmarks.catalogue import entries
from benchmarks.figures import Report
from tests.unit.benchmarks.reports import report


def test_an_unknown_name_is_a_mistake_that_names_the_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["recoveries"])

    assert ended.value.code == 2
    assert "choose from ledger, recovery, restart, peer" in capsys.readouterr().err


@pytest.mark.parametrize("times", ["0", "-1", "many"])
def test_so_many_runs_must_be_a_number(times: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([f"--times={times}"])

    assert ended.value.code == 2
    assert "a number from 1 on" in capsys.readouterr().err


def test_a_folder_that_is_no_run_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["suite", f"--run={tmp_path}", f"--reports={tmp_path / 'reports'}"]) == 2

    told = capsys.readouterr().err
    assert told.startswith(f"bench: {tmp_path} holds no results.json")
    assert not (tmp_path / "reports").exists()


def test_a_program_that_is_none_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "temporal"

    assert main(["restart", f"--temporal-cli={missing}"]) == 2

    assert str(missing) in capsys.readouterr().err


def test_a_run_leaves_json_markdown_and_a_page(tmp_path: Path) -> None:
    told = report([1.0])

    folder = write(tmp_path, [told], entries())

    assert {file.name for file in folder.iterdir()} == {
        *("bench.json", "bench.md", "bench.html"),
        "restart.svg",
    }
    assert Report.model_validate_json((folder / "bench.json").read_bytes()) == told
    assert "<svg" in (folder / "bench.html").read_text()


def test_several_runs_are_kept_beside_what_they_come_to(tmp_path: Path) -> None:
    runs = [report([1.0]), report([3.0])]

    folder = write(tmp_path, runs, entries())

    kept = [Report.model_validate_json((folder / f"run-{n}.json").read_bytes()) for n in (1, 2)]
    assert kept == runs
    rows = json.loads((folder / "bench.json").read_text())["benchmarks"][0]["found"]["tables"][0]
    assert rows["rows"][1]["cells"]["all done"]["values"] == [1.0, 3.0]

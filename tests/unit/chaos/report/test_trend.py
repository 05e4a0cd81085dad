"""The runs that are kept, side by side, and openly what is left out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from chaos.environment.temporal import Topology
from chaos.experiment.reading import ReadingError
from chaos.experiment.results import ScenarioResult
from chaos.invariants.verdict import Verdict
from chaos.report.files import write_reports
from chaos.report.trend import sparkline, trend, trend_lines
from tests.unit.chaos.report.made_runs import (
    STARTED_AT,
    a_case,
    a_fault,
    a_recovery,
    a_run,
    a_scenario,
)

UNKNOWN = a_case("one", "who knows", verdict=Verdict.UNKNOWN)

Keep = Callable[..., Path]


@pytest.fixture
def keep(tmp_path: Path) -> Keep:
    """Keeps one more run in a folder for reports, an hour after the one before."""

    def one_more(*scenarios: ScenarioResult, **given: Any) -> Path:
        number = len([*tmp_path.glob("run-*")])
        folder = tmp_path / f"run-{number}"
        folder.mkdir()
        values: dict[str, Any] = {
            "run_id": folder.name,
            "started_at": STARTED_AT + timedelta(hours=number),
        }
        write_reports(a_run(*scenarios, **(values | given)), folder, environment={})
        return folder

    return one_more


def test_a_row_shows_verdicts_times_and_bills_from_run_to_run(keep: Keep, tmp_path: Path) -> None:
    keep(a_scenario("crash", a_case("one", duration_s=10.0)))
    keep(a_scenario("crash", a_case("one", "broke", duration_s=80.0)))
    keep(a_scenario("other", number=2))
    last = a_case("one", cost_usd=Decimal(2), faults=(a_fault(a_recovery(redo=10)),))
    keep(a_scenario("crash", last))

    lines = trend_lines(trend(tmp_path))

    assert lines[0] == "4 runs (mocked, topology dev), run-0 to run-3"
    assert [cell.strip() for cell in lines[6].split("|")[1:-1]] == [
        "Crash",
        "✓✗.✓",
        "2 of 3",
        "▂█.▅ 40.0 s",
        "▇▇.█ 31.0 s",
        "$2.00 ($1.24 to $2.00)",
    ]
    assert len({len(line) for line in lines if line.startswith("|")}) == 1
    assert lines[-1] == "Passes sometimes, and sometimes does not: crash"


def test_a_scenario_that_always_passes_or_never_does_is_not_flaky(
    keep: Keep, tmp_path: Path
) -> None:
    for _ in range(2):
        keep(a_scenario("good"), a_scenario("odd", UNKNOWN, number=2))

    found = trend(tmp_path)

    assert [(row.name, row.passed, row.is_flaky) for row in found.rows] == [
        ("good", 2, False),
        ("odd", 0, False),
    ]
    assert not any("sometimes" in line for line in trend_lines(found))


def test_latest_is_not_counted_twice_and_folders_of_other_things_are_no_runs(
    keep: Keep, tmp_path: Path
) -> None:
    keep(a_scenario())
    (tmp_path / "explore-2026-01-02T03-04-05Z").mkdir()
    (tmp_path / ".removing-x").mkdir()
    (tmp_path / "README.md").touch()

    found = trend(tmp_path)

    assert (tmp_path / "latest").is_symlink()
    assert len(found.runs) == 1
    assert found.notes == ()


def test_runs_that_cannot_be_read_are_left_out_openly(keep: Keep, tmp_path: Path) -> None:
    keep(a_scenario())
    (keep(a_scenario()) / "results.json").write_text('{"schema": 2}')
    (tmp_path / "broken-off").mkdir()

    found = trend(tmp_path)

    assert len(found.runs) == 1
    broken_off, other_schema = found.notes
    assert broken_off == f"Left out: {tmp_path}/broken-off holds no results.json."
    assert other_schema == (
        f"Left out: {tmp_path}/run-1/results.json is of schema 2, and this version reads schema 1."
    )
    assert trend_lines(found)[-2:] == list(found.notes)


def test_only_runs_like_the_newest_are_compared(keep: Keep, tmp_path: Path) -> None:
    keep(a_scenario())
    keep(a_scenario(), topology=Topology.POSTGRES)

    found = trend(tmp_path)

    assert [run.run_id for run in found.runs] == ["run-1"]
    assert found.notes == ("Left out: 1 not mocked on the topology postgres, as the newest is.",)


def test_only_the_last_runs_are_shown(keep: Keep, tmp_path: Path) -> None:
    for _ in range(3):
        keep(a_scenario())

    found = trend(tmp_path, last=2)

    assert [run.run_id for run in found.runs] == ["run-1", "run-2"]
    assert found.notes == ("Left out: 1 earlier (--last shows more).",)


def test_runs_are_ordered_by_their_time_and_not_by_their_name(keep: Keep, tmp_path: Path) -> None:
    keep(a_scenario())
    keep(a_scenario(), started_at=STARTED_AT - timedelta(days=1))

    assert [run.run_id for run in trend(tmp_path).runs] == ["run-1", "run-0"]


def test_a_folder_without_a_run_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(ReadingError, match="holds no run that can be read"):
        trend(tmp_path)
    with pytest.raises(ReadingError, match="cannot be read"):
        trend(tmp_path / "nowhere")


def test_a_table_that_is_too_wide_loses_its_last_columns_openly(keep: Keep, tmp_path: Path) -> None:
    keep(a_scenario())
    whole = trend_lines(trend(tmp_path))
    wide = len(whole[4])

    assert trend_lines(trend(tmp_path), width=wide) == whole

    narrow = trend_lines(trend(tmp_path), width=wide - 1)
    assert "Billed" not in narrow[4]
    assert "Slowest recovery" in narrow[4]
    assert narrow[-1] == "For want of room: no Billed."
    assert (
        trend_lines(trend(tmp_path), width=5)[-1]
        == "For want of room: no Slowest recovery, Billed."
    )


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([None], "."),
        ([0.0, 0.0], "▁▁"),
        ([1.0, None, 2.0], "▅.█"),
        ([0.0, 7.0], "▁█"),
    ],
)
def test_a_sparkline_is_drawn_from_nothing_to_the_greatest(
    values: list[float | None], line: str
) -> None:
    assert sparkline(values) == line

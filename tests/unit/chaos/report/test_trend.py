"""The last runs that are kept, side by side, and what is left out of them."""

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
from chaos.report.files import write_reports
from chaos.report.trend import LAST, trend, trend_lines
from tests.unit.chaos.report.made_runs import STARTED_AT, a_case, a_run, a_scenario

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


def test_a_row_shows_what_passed_and_the_newest_figures(keep: Keep, tmp_path: Path) -> None:
    keep(a_scenario("crash"))
    keep(a_scenario("crash", a_case("one", "broke", duration_s=80.0)))
    keep(a_scenario("other", number=2))
    keep(a_scenario("crash", a_case("one", cost_usd=Decimal(2))))

    title, _, _, row, _ = trend_lines(trend(tmp_path))

    assert title.startswith(
        "Runs (mocked, topology dev): 4, run-0 to run-3, oldest first; ✓ passed"
    )
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert cells == ["Crash", "✓✗.✓", "2 of 3", "40.0 s", "26.0 s", "$2.00"]


def test_only_the_last_runs_are_shown_by_their_time(keep: Keep, tmp_path: Path) -> None:
    for number in range(LAST + 2):
        keep(a_scenario(), started_at=STARTED_AT - timedelta(days=number))

    shown = [run.run_id for run in trend(tmp_path).runs]

    assert shown == [f"run-{number}" for number in reversed(range(LAST))]


def test_what_is_no_run_like_the_newest_is_left_out(keep: Keep, tmp_path: Path) -> None:
    keep(a_scenario())
    (keep(a_scenario()) / "results.json").write_text('{"schema": 2}')
    keep(a_scenario(), topology=Topology.POSTGRES)
    for name in ("explore-2026-01-02T03-04-05Z", ".removing-x", "broken-off"):
        (tmp_path / name).mkdir()
    (tmp_path / "README.md").touch()

    found = trend(tmp_path)

    assert (tmp_path / "latest").is_symlink()
    assert [run.run_id for run in found.runs] == ["run-2"]
    file = f"{tmp_path}/run-1/results.json"
    assert found.notes == (
        f"Left out: {tmp_path}/broken-off has no results.json.",
        f"Left out: {file} has schema 2, and this version reads schema 1.",
        "Left out: 1 not mocked on the topology postgres, unlike the newest.",
    )
    assert trend_lines(found)[-3:] == list(found.notes)


def test_a_folder_without_a_run_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(ReadingError, match="has no readable run"):
        trend(tmp_path)
    with pytest.raises(ReadingError, match="cannot be read"):
        trend(tmp_path / "nowhere")

"""The wall time of a recorded run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.suite import LONGEST, SIDE_BY_SIDE, WALL_RATIO, ended_at, found
from chaos.evidence.journal import Event, Journal
from chaos.experiment.results import Overall, RunResult

_AT = datetime(2026, 1, 1, tzinfo=UTC)
_ROW: dict[str, Any] = {
    "number": 1,
    "title": "",
    "status": "complete",
    "fault": None,
    "recovery_s": None,
    "verdict": "passed",
    "reason": "",
    "cost_usd": 0,
    "ideal_cost_usd": 0,
    "waste_usd": 0,
    "possible_waste_usd": 0,
    "saved_usd": 0,
    "ambiguous": (),
    "billed": {},
    "workflows": (),
    "cases": (),
}


def _run(*lengths: float, cpu: dict[str, float] | None = None) -> RunResult:
    scenarios = [{**_ROW, "name": f"s{n}", "duration_s": each} for n, each in enumerate(lengths)]
    overall = Overall(passed=len(lengths), total=len(lengths))
    run = {"schema": 1, "run_id": "a-run", "started_at": _AT, "versions": {}, "overall": overall}
    return RunResult.model_validate({**run, "scenarios": scenarios, "cpu_s": cpu or {}})


def test_several_runs_are_held_against_their_longest_scenario() -> None:
    runs = [(_run(20, 50), _AT + timedelta(seconds=100)), (_run(40), _AT + timedelta(seconds=60))]

    (table,) = found(runs).tables

    cells = table.rows[0].cells
    assert cells[LONGEST].values == (50.0, 40.0)
    assert cells[WALL_RATIO].values == (2.0, 1.5)
    assert cells[SIDE_BY_SIDE].values == (0.7, 0.667)


def test_the_processors_are_shown_by_kind_where_all_runs_have_measured_them() -> None:
    measured = (_run(20, cpu={"worker": 5.0, "server": 15.0}), _AT + timedelta(seconds=30))

    _, used = found([measured]).tables
    assert [row.name for row in used.rows] == ["server", "worker", "all of them"]
    assert used.row("all of them").cells["used"].values == (20.0,)
    assert len(found([measured, (_run(20), measured[1])]).tables) == 1


def test_a_run_ends_with_the_last_entry_of_any_journal_and_one_that_ran_nothing_has_no_figures(
    tmp_path: Path,
) -> None:
    for name in ("one", "two"):
        journal = Journal(tmp_path / name / "journal.jsonl", lambda _: None)
        journal.add(Event.STAGE, name)
        journal.close()
    assert abs(ended_at(tmp_path) - datetime.now(UTC)) < timedelta(seconds=30)

    with pytest.raises(ValueError, match="no scenario that ran"):
        found([(_run(), _AT)])

"""The wall time of a recorded run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks import plots
from benchmarks.suite import (
    SHARE,
    WAITS,
    NoRunError,
    Recorded,
    Suite,
    ended_at,
    found,
    plot,
    policy_seconds,
)
from benchmarks.suite_cpu import ALL, PROCESSES, USED, Usage
from benchmarks.suite_cpu import SHARE as SHARE_USED
from chaos.evidence.journal import Event, Journal
from chaos.experiment.results import CaseResult, FaultResult, Overall, RunResult
from chaos.invariants.recovery import Recovery
from chaos.invariants.verdict import Verdict

_AT = datetime(2026, 1, 1, tzinfo=UTC)


def _fault(at_seconds: float, detect: float, reschedule: float) -> FaultResult:
    took = Recovery(
        total=detect + reschedule,
        detect=detect,
        reschedule=reschedule,
        restart=0,
        redo=0,
        bound=99,
    )
    at = _AT + timedelta(seconds=at_seconds)
    return FaultResult(kind="kill", target="worker-1", at=at, hit=True, recovery_s=took)


_REST: dict[str, Any] = {
    "verdict": Verdict.PASSED,
    "reason": "",
    "cost_usd": 0,
    "ideal_cost_usd": 0,
    "waste_usd": 0,
    "possible_waste_usd": 0,
    "saved_usd": 0,
    "ambiguous": (),
    "billed": {},
    "workflows": (),
}


def _case(duration_s: float, *faults: FaultResult) -> CaseResult:
    case = {"name": "a", "control": False, "load": None, "checks": ()}
    return CaseResult.model_validate({**_REST, **case, "duration_s": duration_s, "faults": faults})


def _run(*cases: CaseResult) -> RunResult:
    row = {**_REST, "number": 1, "title": "", "status": "complete", "fault": None}
    scenarios = [
        {**row, "name": f"s{n}", "duration_s": c.duration_s, "recovery_s": None, "cases": (c,)}
        for n, c in enumerate(cases)
    ]
    overall = Overall(passed=len(cases), total=len(cases))
    run = {"schema": 1, "run_id": "a-run", "started_at": _AT, "versions": {}, "overall": overall}
    return RunResult.model_validate({**run, "scenarios": scenarios})


def _recorded(run: RunResult, wall_s: float, usage: Usage | None = None) -> Recorded:
    return Recorded(run, _AT + timedelta(seconds=wall_s), usage)


def test_waits_one_after_another_add_up() -> None:
    assert policy_seconds(_case(100, _fault(0, 30, 10), _fault(50, 30, 10))) == 80


def test_waits_side_by_side_count_once() -> None:
    assert policy_seconds(_case(100, _fault(0, 30, 10), _fault(5, 30, 10))) == 45


def test_a_wait_within_another_adds_nothing() -> None:
    assert policy_seconds(_case(100, _fault(0, 30, 10), _fault(5, 0, 10))) == 40


def test_the_longest_scenario_comes_first_with_its_share() -> None:
    run = _run(_case(20), _case(50, _fault(0, 30, 10)))

    whole, longest = found([_recorded(run, 100)]).tables

    assert whole.rows[0].cells["wall ÷ longest"].values == (2.0,)
    assert whole.rows[0].cells["side by side"].values == (0.7,)
    assert [row.name for row in longest.rows] == ["s1/a", "s0/a"]
    assert longest.rows[0].cells[WAITS].values == (40.0,)
    assert longest.rows[0].cells[SHARE].values == (0.8,)
    assert longest.rows[0].remark.endswith("noticed after 30.0 s, retry after 10.0 s")
    assert longest.rows[1].remark == "no recovery"


def test_several_runs_give_a_spread_of_what_is_in_all_of_them() -> None:
    first = _recorded(_run(_case(20), _case(50)), 100)
    second = _recorded(_run(_case(40)), 60)

    whole, longest = found([first, second]).tables

    assert whole.title.endswith("2 runs")
    assert whole.rows[0].cells["wall ÷ longest"].values == (2.0, 1.5)
    assert [row.name for row in longest.rows] == ["s0/a"]
    assert longest.rows[0].cells["scenario"].values == (20.0, 40.0)


def _folder(tmp_path: Path, *ended: tuple[str, float]) -> Path:
    """Of a run with one case, by what its processes took."""
    journal = Journal(tmp_path / "s0" / "a" / "journal.jsonl", lambda _: None)
    for number, (target, taken) in enumerate(ended):
        journal.add(Event.STARTED, target=target, pid=number)
        journal.add(Event.EXITED, target=target, pid=number, cpu_seconds=taken)
    journal.close()
    return tmp_path


def _used(run: RunResult, **kinds: float) -> RunResult:
    return run.model_copy(update={"cpu_s": kinds})


def test_who_used_the_processors_stands_by_kind_and_by_case(tmp_path: Path) -> None:
    folder = _folder(tmp_path, ("worker-1", 1.0), ("worker-2", 2.0), ("temporal-server", 4.0))
    run = _used(_run(_case(20)), worker=3.0, server=4.0, harness=2.0, other=1.0)

    tables = found([_recorded(run, 100, Usage.of(folder, run))]).tables

    kinds, cases = tables[2:]
    assert [row.name for row in kinds.rows] == ["server", "worker", "harness", "other", ALL]
    worker = kinds.row("worker").cells
    assert (worker[USED].values, worker[SHARE_USED].values) == ((3.0,), (0.3,))
    assert worker[PROCESSES].values == (2.0,)
    assert PROCESSES not in kinds.row("other").cells
    assert kinds.row(ALL).cells[USED].values == (10.0,)
    assert cases.row("s0/a").cells[ALL].values == (7.0,)
    assert cases.row("s0/a").cells["worker"].values == (3.0,)


def test_a_run_that_did_not_measure_it_leaves_those_tables_out(tmp_path: Path) -> None:
    old, new = _run(_case(20)), _used(_run(_case(20)), harness=2.0)
    usage = Usage.of(_folder(tmp_path), new)

    assert Usage.of(tmp_path, old) is None
    assert len(found([_recorded(new, 100, usage)]).tables) == 4
    assert len(found([_recorded(new, 100, usage), _recorded(old, 100)]).tables) == 2


def test_a_run_in_which_nothing_ran_is_none() -> None:
    with pytest.raises(NoRunError, match="name another"):
        found([_recorded(_run(), 9)])


async def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoRunError, match="holds no results"):
        await Suite([tmp_path]).measure(None, quick=True)  # type: ignore[arg-type]  # not asked for


def test_a_run_ends_with_the_last_word_of_its_journals(tmp_path: Path) -> None:
    for name in ("one", "two"):
        journal = Journal(tmp_path / name / "a" / "journal.jsonl", lambda _: None)
        last = journal.add(Event.ENDING)
        journal.close()

    assert ended_at(tmp_path) == last.at


def test_without_a_journal_no_end_is_known(tmp_path: Path) -> None:
    assert ended_at(tmp_path) is None


def test_its_plot_shows_the_wall_time() -> None:
    run = _run(_case(50, _fault(0, 30, 10)))

    text = plots.svg(plot(found([_recorded(run, 100)])), "suite")

    assert "wall time of the run" in text
    assert "s0/a" in text

"""The tables tell what is on record, and make nothing better than it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from chaos.invariants.verdict import Verdict
from chaos.report.explored import report_of, write_report
from chaos.search.explore.state import MOST_TRIES, State
from tests.unit.chaos.search.explore.kept import BEGIN, PLAN, crash_point, try_of

NAMES = ("single-worker-booting", "single-activity-2-call-1-replied", "single-task-6-completed")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with closing(State.begin(tmp_path)) as state:
        state.save_plan(PLAN.model_copy(update={"chosen": NAMES}))
        yield state


def text_of(state: State) -> str:
    write_report(state)
    return (state.folder / "explore.md").read_text()


def test_all_well(state: State) -> None:
    booting, replied, last = map(crash_point, NAMES)
    state.add(try_of(booting, recovery_seconds=2.0))
    state.add(try_of(replied, billed_usd=Decimal("1.278"), in_doubt=1))
    state.add(try_of(last, recovery_seconds=None))
    text = text_of(state)

    assert "6 of 6 points hit, at 3 of 3 moments: 3 passed, 0 failed, 0 unknown." in text
    assert "Billed exactly once: 2 of 3; in all $3.756 of an ideal $3.717." in text
    assert "3 tries in 30 s, 12.0 points a minute; worst recovery 2.00 s." in text
    assert "| single | worker-booting | after 1, 2; before 3 | 3 of 3 | completed | 1.00 |" in text
    assert "| after call 1 | 1 of 1 | completed | 1.03 | 1 | 1.50 s |" in text
    assert (
        "| single | task-6-completed | after 34, 35 | 2 of 2 | completed | 1.00 | 0 | - |" in text
    )


def test_what_was_not_tried_is_not_hit(state: State) -> None:
    state.add(try_of(crash_point(NAMES[0])))
    text = text_of(state)

    assert "3 of 6 points hit, at 1 of 3 moments: 1 passed, 0 failed, 2 unknown." in text
    assert text.count("not tried") == 2


def test_what_was_never_hit_is_unknown_and_named(state: State) -> None:
    points = tuple(point.name for point in crash_point(NAMES[0]).stop.points)
    for number in range(1, MOST_TRIES + 1):
        state.add(try_of(crash_point(NAMES[0]), number, proven=points[:2]))
    text = text_of(state)

    assert "| 2 of 3, UNKNOWN |" in text
    assert "not proven to be hit: before event 3 WORKFLOW_TASK_STARTED" in text


def test_a_failure_is_named_with_its_reason(state: State) -> None:
    state.add(try_of(crash_point(NAMES[0]), verdict=Verdict.FAILED, reason="it was paid for twice"))
    text = text_of(state)

    assert "| 3 of 3, FAILED |" in text
    assert "single-worker-booting: failed, single-worker-booting-try-1: it was paid" in text


def test_time_counts_once_and_only_while_something_runs(state: State) -> None:
    for number, (begin, end) in enumerate([(0, 30), (10, 40), (12, 20), (1000, 1020)], start=1):
        began_at, ended_at = BEGIN + timedelta(seconds=begin), BEGIN + timedelta(seconds=end)
        state.add(try_of(crash_point(NAMES[0]), number, began_at=began_at, ended_at=ended_at))
    report = report_of(state)

    assert report
    assert report.summary.seconds == 60.0
    assert report.summary.points_a_minute == 3.0


def test_tools_read_the_same(state: State) -> None:
    state.add(try_of(crash_point(NAMES[0])))
    write_report(state)
    data = json.loads((state.folder / "explore.json").read_text())

    assert data["summary"]["points_hit"] == 3
    assert [row["verdict"] for row in data["moments"]] == ["passed", "unknown", "unknown"]
    assert data["moments"][0]["counts"]["billed_usd"] == "1.239"


def test_there_is_no_report_without_a_plan(tmp_path: Path) -> None:
    with closing(State.begin(tmp_path)) as state:
        assert write_report(state) is None

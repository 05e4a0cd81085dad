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
from chaos.search.explore.state import MOST_ATTEMPTS, State
from tests.unit.chaos.search.explore.kept import BEGIN, PLAN, attempt_of, planned_hit

NAMES = (
    "single-activity-start_video-completing-1",
    "single-api-call-POST-models-generateContent-answered-1-1ab178",
    "single-workflow_task-SingleVideo-completed-6",
)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with closing(State.begin(tmp_path)) as state:
        state.save_plan(PLAN.model_copy(update={"chosen": NAMES}))
        yield state


def text_of(state: State) -> str:
    write_report(state)
    return (state.folder / "explore.md").read_text()


def test_all_well(state: State) -> None:
    reporting, answered, last = map(planned_hit, NAMES)
    state.add(attempt_of(reporting, recovery_seconds=2.0))
    state.add(attempt_of(answered, billed_usd=Decimal("1.278"), in_doubt=1))
    state.add(attempt_of(last, recovery_seconds=None))
    text = text_of(state)

    assert "3 of 3 points hit, at 3 of 3 stops: 3 passed, 0 failed, 0 unknown." in text
    assert "Billed exactly once: 2 of 3; in all $3.756 of an ideal $3.717." in text
    assert "3 tries in 30 s, 6.0 points a minute; worst recovery 2.00 s." in text
    assert "| single | activity start_video completing 1 | 1 of 1 | completed | 1.00 |" in text
    assert "answered 1 | 1 of 1 | completed | 1.03 | 1 | 1.50 s |" in text
    assert "SingleVideo completed 6 | 1 of 1 | completed | 1.00 | 0 | - |" in text


def test_what_was_not_tried_is_not_hit(state: State) -> None:
    state.add(attempt_of(planned_hit(NAMES[0])))
    text = text_of(state)

    assert "1 of 3 points hit, at 1 of 3 stops: 1 passed, 0 failed, 2 unknown." in text
    assert text.count("not tried") == 2


def test_what_was_never_hit_is_unknown_and_named(state: State) -> None:
    for number in range(1, MOST_ATTEMPTS + 1):
        state.add(attempt_of(planned_hit(NAMES[0]), number, proven=()))
    text = text_of(state)

    assert "| 0 of 1, UNKNOWN |" in text
    assert "not proven to be hit: activity start_video completing 1" in text


def test_what_no_run_came_to_is_told_as_that(state: State) -> None:
    for number in range(1, MOST_ATTEMPTS + 1):
        state.add(attempt_of(planned_hit(NAMES[0]), number, proven=(), is_reached=False))
    text = text_of(state)

    assert "0 failed, 3 unknown, 1 of these not reached." in text
    assert "| not reached |" in text


def test_a_failure_is_named_with_its_reason(state: State) -> None:
    state.add(
        attempt_of(planned_hit(NAMES[0]), verdict=Verdict.FAILED, reason="it was paid for twice")
    )
    text = text_of(state)

    assert "| 1 of 1, FAILED |" in text
    assert f"{NAMES[0]}: failed, {NAMES[0]}-try-1: it was paid" in text


def test_time_counts_once_and_only_while_something_runs(state: State) -> None:
    for number, (begin, end) in enumerate([(0, 30), (10, 40), (12, 20), (1000, 1020)], start=1):
        began_at, ended_at = BEGIN + timedelta(seconds=begin), BEGIN + timedelta(seconds=end)
        state.add(attempt_of(planned_hit(NAMES[0]), number, began_at=began_at, ended_at=ended_at))
    report = report_of(state)

    assert report
    assert report.summary.seconds == 60.0
    assert report.summary.points_a_minute == 1.0


def test_tools_read_the_same(state: State) -> None:
    state.add(attempt_of(planned_hit(NAMES[0])))
    write_report(state)
    data = json.loads((state.folder / "explore.json").read_text())

    assert data["summary"]["points_hit"] == 1
    assert [row["verdict"] for row in data["stops"]] == ["unknown", "passed", "unknown"]
    assert data["stops"][1]["counts"]["billed_usd"] == "1.239"


def test_there_is_no_report_without_a_plan(tmp_path: Path) -> None:
    with closing(State.begin(tmp_path)) as state:
        assert write_report(state) is None

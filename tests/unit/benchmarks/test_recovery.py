"""What the history of a step says of a kill."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.api.common.v1 import RetryPolicy

from benchmarks.recovery import (
    HEARTBEATS,
    NEXT_ATTEMPT,
    RATIO,
    STEP,
    UNDISTURBED,
    Trial,
    found,
    trial_of,
)
from chaos.evidence.history import Activity

_AT = datetime(2026, 1, 1, tzinfo=UTC)
_KILLED_AT = _AT + timedelta(seconds=3)
_STEP = Activity(
    kind="await_video",
    scheduled_at=_AT,
    retry_policy=RetryPolicy(),
    start_to_close_seconds=60.0,
    schedule_to_close_seconds=3600.0,
    heartbeat_seconds=30.0,
    started_at=_AT + timedelta(seconds=43.25),
    attempt=2,
    closed_at=_AT + timedelta(seconds=43.75),
)


def test_a_trial_is_the_step_and_the_time_from_the_kill_to_the_next_attempt() -> None:
    assert trial_of(_STEP, _KILLED_AT) == Trial(step=43.75, next_attempt=40.25)


@pytest.mark.parametrize(
    "step",
    [replace(_STEP, closed_at=None), replace(_STEP, attempt=1), replace(_STEP, attempt=3)],
    ids=["open", "not hit", "hit twice"],
)
def test_a_step_that_never_ended_or_was_not_hit_once_is_no_figure(step: Activity) -> None:
    with pytest.raises(RuntimeError):
        trial_of(step, _KILLED_AT)


def test_each_step_is_compared_with_the_undisturbed_one_of_the_same_run() -> None:
    trials = {
        UNDISTURBED: [Trial(3.0), Trial(3.2), Trial(3.4)],
        HEARTBEATS: [Trial(48.0, next_attempt=40.5)],
    }

    row = found(trials).tables[0].row(HEARTBEATS)

    assert row.cells[RATIO].values == (15.0,)
    assert row.cells[NEXT_ATTEMPT].values == (40.5,)
    assert found(trials).tables[0].row(UNDISTURBED).cells[STEP].values == (3.0, 3.2, 3.4)

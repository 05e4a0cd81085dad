"""The parts of a recovery, and their tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import RetryPolicy

from benchmarks import plots
from benchmarks.recovery import (
    HEARTBEATS,
    NEXT_ATTEMPT,
    RATIO,
    STEP,
    UNDISTURBED,
    Trial,
    found,
    plot,
    without_heartbeat,
)
from chaos.evidence.history import Activity

_AT = datetime(2026, 1, 1, tzinfo=UTC)


def _later(seconds: float) -> datetime:
    return _AT + timedelta(seconds=seconds)


_STEP = Activity(
    kind="await_video",
    scheduled_at=_AT,
    retry_policy=RetryPolicy(initial_interval=Duration(seconds=10)),
    start_to_close_seconds=60.0,
    schedule_to_close_seconds=3600.0,
    heartbeat_seconds=0.0,
    started_at=_later(70.25),
    attempt=2,
    closed_at=_later(70.75),
)


def test_without_a_heartbeat_the_timeout_of_the_first_attempt_detects() -> None:
    trial = without_heartbeat(_STEP, killed_at=_later(3))

    assert trial == Trial(step=70.75, detect=57.0, reschedule=10.0, restart=0.25, redo=0.5)
    assert trial.next_attempt == 67.25


def test_a_step_that_never_ended_has_no_parts() -> None:
    with pytest.raises(RuntimeError, match="never done"):
        without_heartbeat(replace(_STEP, closed_at=None), killed_at=_later(3))


def test_each_step_is_compared_with_the_undisturbed_one_of_the_same_run() -> None:
    trials = {
        UNDISTURBED: [Trial(3.0), Trial(3.2), Trial(3.4)],
        HEARTBEATS: [Trial(48.0, detect=30.0, reschedule=10.0, restart=0.5, redo=0.1)],
    }

    table = found(trials).tables[0]

    row = table.row(HEARTBEATS)
    assert row.cells[RATIO].values == (15.0,)
    assert row.cells[NEXT_ATTEMPT].values == (40.5,)
    assert table.row(UNDISTURBED).cells[STEP].values == (3.0, 3.2, 3.4)


def test_its_plot_names_the_unit_and_shows_what_is_undisturbed() -> None:
    trials = {UNDISTURBED: [Trial(3.0)], HEARTBEATS: [Trial(48.0, 30.0, 10.0, 0.5, 0.1)]}

    text = plots.svg(plot(found(trials)), "recovery")

    assert "seconds, logarithmic" in text
    assert "share of the recovery in %" in text
    assert "whole step, undisturbed" in text

"""Fixtures: an alert."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from workflows.alerts.alert import Alert


@pytest.fixture
def alert() -> Alert:
    return Alert(
        namespace="default",
        workflow_type="SingleVideo",
        workflow_id="my-video",
        run_id="run-1",
        activity="await_video",
        activity_id="4",
        attempt=2,
        maximum_attempts=3,
        task_queue="video",
        worker="123@host",
        time=datetime(2025, 11, 24, 12, 30, tzinfo=UTC),
    )

"""Fixtures: alerts to send, and an environment without any setting of theirs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from workflows.alerts import AlertSettings
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


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No setting of alerts is set."""
    for name in AlertSettings.model_fields:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch

"""Fixtures: receivers that can fail, and the alerts that they get."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from tests.integration.alerts.http_receiver import HttpReceiver
from tests.integration.alerts.mail_receiver import MailReceiver
from workflows.alerts import AlertSettings
from workflows.alerts.alert import Alert


@pytest.fixture(autouse=True)
def no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in AlertSettings.model_fields:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    # Nothing of this goes through a proxy.
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


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


@pytest_asyncio.fixture
async def webhook() -> AsyncIterator[HttpReceiver]:
    async with HttpReceiver() as receiver:
        yield receiver


@pytest_asyncio.fixture
async def mail() -> AsyncIterator[MailReceiver]:
    async with MailReceiver() as receiver:
        yield receiver

"""Sending one alert. That it is retried until it is accepted is shown with a real server."""

from __future__ import annotations

import threading
from unittest.mock import Mock

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from workflows.alerts import delivery
from workflows.alerts.alert import Alert


async def test_a_receiver_that_takes_too_long_has_not_accepted_the_alert(
    alert: Alert, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(delivery, "SEND_SECONDS", 0.05)
    over = threading.Event()
    sender = delivery.Sender(Mock(send=lambda _: over.wait()))
    try:
        with pytest.raises(ApplicationError, match="did not accept the alert"):
            await ActivityEnvironment().run(sender.send_alert, alert)
    finally:
        over.set()
        sender.close()
    assert "does not accept alerts" in caplog.text

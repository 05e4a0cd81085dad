"""Handing alerts to Temporal: it is tried until Temporal has them, and holds up no activity."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import Mock

import pytest
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from workflows.alerts import alerts as module
from workflows.alerts.alert import Alert
from workflows.alerts.alerts import Alerts

AWAY = RPCError("away", RPCStatusCode.UNAVAILABLE, b"")
DENIED = RPCError("denied", RPCStatusCode.PERMISSION_DENIED, b"")


@dataclass
class Temporal:
    """A client whose calls end with these, in turn, and then hang."""

    ends: list[Exception | None]
    identity: str = "123@host"
    started: list[str] = field(default_factory=list)

    async def start_workflow(self, *_: object, **options: Any) -> None:
        self.started.append(options["task_queue"])
        if not self.ends:
            await asyncio.Event().wait()
        if end := self.ends.pop(0):
            raise end


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "START_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(module, "STOP_SECONDS", 0.05)
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.001)


def alerts_of(temporal: Temporal, receivers: int) -> Alerts:
    client: Any = temporal
    return Alerts(client, "video", [Mock()] * receivers, "build")


async def test_without_receivers_an_alert_is_a_line_in_the_log(
    alert: Alert, caplog: pytest.LogCaptureFixture
) -> None:
    temporal = Temporal([])
    async with alerts_of(temporal, 0) as alerts:
        await alerts.tell(alert)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("workflows.alerts", "WARNING")
    assert json.loads(record.getMessage())["attempt"] == 2
    assert temporal.started == []


async def test_each_receiver_has_a_task_queue_of_its_own(alert: Alert) -> None:
    temporal = Temporal([None, None])
    await alerts_of(temporal, 2).tell(alert)
    assert temporal.started == ["video-alerts-1", "video-alerts-2"]


@pytest.mark.parametrize(
    ("ends", "calls", "logged"),
    [
        ([AWAY, AWAY, None], 3, ["an alert waits for Temporal (UNAVAILABLE)."]),
        ([WorkflowAlreadyStartedError("alert", "SendAlert")], 1, []),
        ([DENIED], 1, ["an alert is lost: Temporal refuses it (PERMISSION_DENIED)."]),
    ],
)
async def test_it_is_tried_until_temporal_has_the_alert_or_refuses_it(
    alert: Alert,
    ends: list[Exception | None],
    calls: int,
    logged: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    temporal = Temporal(ends)
    await alerts_of(temporal, 1).tell(alert)
    assert len(temporal.started) == calls
    assert caplog.messages[1:] == logged


async def test_of_hundreds_of_alerts_a_few_are_started_at_a_time(alert: Alert) -> None:
    temporal = Temporal([])
    async with asyncio.timeout(5), alerts_of(temporal, 0) as alerts:
        alerts._receivers = dict.fromkeys(map(str, range(300)), Mock())
        await alerts.tell(alert)
        assert len(temporal.started) == module.STARTS_AT_ONCE


async def test_a_server_that_does_not_answer_holds_up_nobody_and_the_loss_is_logged(
    alert: Alert, caplog: pytest.LogCaptureFixture
) -> None:
    alerts = alerts_of(Temporal([]), 1)
    async with asyncio.timeout(5):
        await alerts.tell(alert)
        await alerts.__aexit__(None, None, None)
    assert caplog.messages[-1] == "1 alerts are lost: Temporal could not be reached."

"""Alerts are logged, put on disk for each channel, and never hold up who tells of them."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from pathlib import Path

import pytest
import respx

from chaos.process.waiting import wait_until
from workflows.alerts import Alerts, AlertSettings
from workflows.alerts.alert import Alert
from workflows.alerts.limits import Limits
from workflows.alerts.spool import Spool

URL = "https://hooks.test/services/hush-hush"
EMAIL_OF_TWO = {
    "alert_smtp_url": "smtp://robot:hush-hush@127.0.0.1:9",
    "alert_email_from": "alerts@example.com",
    "alert_email_to": "ops@example.com,boss@example.com",
}
OF_WEBHOOK = {"alert_webhook_url": URL}

pytestmark = pytest.mark.usefixtures("environment")


def settings(**values: str) -> AlertSettings:
    return AlertSettings.model_validate(values)


def said(caplog: pytest.LogCaptureFixture, logger: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == logger]


def kept(folder: Path) -> list[str]:
    """The alerts on disk."""
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*.json"))


async def test_without_channels_an_alert_is_a_log_line(
    tmp_path: Path, alert: Alert, caplog: pytest.LogCaptureFixture
) -> None:
    async with Alerts(settings(), tmp_path / "alerts") as alerts:
        await alerts.tell(alert)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("workflows.alerts", logging.WARNING)
    assert json.loads(record.getMessage())["workflow_id"] == "my-video"
    assert not (tmp_path / "alerts").exists()


@respx.mock
async def test_an_alert_goes_out_by_the_webhook(tmp_path: Path, alert: Alert) -> None:
    route = respx.post(URL).respond(200)
    async with Alerts(settings(**OF_WEBHOOK), tmp_path) as alerts:
        await alerts.tell(alert)
        await wait_until(lambda: route.called, what="posted", deadline_seconds=5)
    assert json.loads(route.calls.last.request.content) == {"text": alert.text}
    assert list((tmp_path / "webhook").iterdir()) == []


@respx.mock
async def test_a_new_alert_goes_out_at_once(tmp_path: Path, alert: Alert) -> None:
    route = respx.post(URL).respond(200)
    # It would not be found by looking round.
    limits = Limits(rescan_seconds=3600)
    async with Alerts(settings(**OF_WEBHOOK), tmp_path, limits) as alerts:
        await alerts.tell(alert)
        await wait_until(lambda: route.call_count == 1, what="posted", deadline_seconds=5)
        await alerts.tell(alert.model_copy(update={"attempt": 3}))
        await wait_until(lambda: route.call_count == 2, what="posted", deadline_seconds=5)


async def test_each_recipient_has_a_file_of_their_own(tmp_path: Path, alert: Alert) -> None:
    # Not entered: nobody delivers.
    await Alerts(settings(**EMAIL_OF_TWO), tmp_path).tell(alert)
    assert kept(tmp_path) == [
        f"email-boss@example.com/{alert.key}.json",
        f"email-ops@example.com/{alert.key}.json",
    ]


async def test_no_secret_is_on_disk(tmp_path: Path, alert: Alert) -> None:
    await Alerts(settings(**OF_WEBHOOK, **EMAIL_OF_TWO), tmp_path).tell(alert)
    files = kept(tmp_path)
    assert len(files) == 3
    assert not [file for file in files if "hush" in file + (tmp_path / file).read_text()]


async def test_a_disk_that_hangs_holds_nobody_up(
    tmp_path: Path, alert: Alert, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, put = threading.Event(), Spool.put

    def hang(self: Spool, alert: Alert) -> None:
        release.wait(30)
        put(self, alert)

    monkeypatch.setattr(Spool, "put", hang)
    limits = Limits(handover_seconds=0.01)
    alerts = Alerts(settings(**OF_WEBHOOK), tmp_path, limits)
    async with asyncio.timeout(5):
        await alerts.tell(alert)
    assert kept(tmp_path) == []
    release.set()
    # It is kept all the same, as soon as the disk goes on.
    await wait_until(lambda: len(kept(tmp_path)) == 1, what="kept", deadline_seconds=5)


async def test_a_disk_that_fails_is_told_and_stops_nobody(
    tmp_path: Path, alert: Alert, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "alerts"
    blocked.touch()  # where the folder should be
    await Alerts(settings(**OF_WEBHOOK), blocked).tell(alert)
    assert len(said(caplog, "workflows.alerts")) == 1
    (complaint,) = said(caplog, "workflows.alert_delivery")
    assert complaint == (
        f"the alert {alert.key} (attempt 2 of await_video) does not go out by webhook: "
        f"{blocked}/webhook cannot be written to (File exists)."
    )


async def test_a_full_spool_is_told(
    tmp_path: Path, alert: Alert, caplog: pytest.LogCaptureFixture
) -> None:
    alerts = Alerts(settings(**OF_WEBHOOK), tmp_path, Limits(most_pending=1))
    await alerts.tell(alert)
    later = alert.model_copy(update={"attempt": 3})
    await alerts.tell(later)
    assert kept(tmp_path) == [f"webhook/{alert.key}.json"]
    (complaint,) = said(caplog, "workflows.alert_delivery")
    assert complaint == (
        f"the alert {later.key} (attempt 3 of await_video) does not go out by webhook: "
        f"1 wait already in {tmp_path}/webhook."
    )


@respx.mock
async def test_what_an_earlier_worker_left_is_delivered(tmp_path: Path, alert: Alert) -> None:
    await Alerts(settings(**OF_WEBHOOK), tmp_path).tell(alert)
    route = respx.post(URL).respond(200)
    async with Alerts(settings(**OF_WEBHOOK), tmp_path):
        await wait_until(lambda: route.called, what="posted", deadline_seconds=5)
    assert route.call_count == 1


async def test_alerts_of_a_channel_that_is_gone_are_told(
    tmp_path: Path, alert: Alert, caplog: pytest.LogCaptureFixture
) -> None:
    await Alerts(settings(**OF_WEBHOOK), tmp_path).tell(alert)
    async with Alerts(settings(), tmp_path):
        pass
    (complaint,) = said(caplog, "workflows.alert_delivery")
    assert complaint == (
        f"1 waiting in {tmp_path}/webhook, whose channel is not configured; "
        "configure it, or delete them."
    )


async def test_a_folder_that_cannot_be_read_stops_no_worker(
    tmp_path: Path, alert: Alert, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "alerts"
    blocked.touch()
    async with Alerts(settings(**OF_WEBHOOK), blocked) as alerts:
        await alerts.tell(alert)
    assert "cannot be written to" in caplog.text

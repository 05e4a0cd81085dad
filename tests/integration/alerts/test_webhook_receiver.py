"""A real webhook that is slow, fails, goes away and comes back gets each alert once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos.process.waiting import wait_until
from tests.integration.alerts.http_receiver import Answer, HttpReceiver
from workflows.alerts import Alerts, AlertSettings
from workflows.alerts.alert import Alert
from workflows.alerts.limits import Limits

DEADLINE_SECONDS = 20.0
IMPATIENT = Limits(first_retry_seconds=0.02, longest_retry_seconds=0.1, rescan_seconds=0.1)


def alerts_to(webhook: HttpReceiver, folder: Path, limits: Limits = IMPATIENT) -> Alerts:
    return Alerts(AlertSettings.model_validate({"alert_webhook_url": webhook.url}), folder, limits)


async def until(condition: Callable[[], bool], what: str) -> None:
    await wait_until(condition, what=what, deadline_seconds=DEADLINE_SECONDS)


def waiting(folder: Path) -> int:
    return len(list((folder / "webhook").glob("*.json")))


async def delivered(folder: Path) -> None:
    """Nothing more can come after this: no alert waits."""
    await until(lambda: waiting(folder) == 0, "no alert waits")


async def test_an_alert_is_posted_once(webhook: HttpReceiver, alert: Alert, tmp_path: Path) -> None:
    async with alerts_to(webhook, tmp_path) as alerts:
        await alerts.tell(alert)
        await delivered(tmp_path)
    assert webhook.accepted == webhook.asked == [alert.text]


@pytest.mark.parametrize("status", [500, 503, 429, 408, None])
async def test_an_alert_is_posted_until_it_is_accepted(
    webhook: HttpReceiver, alert: Alert, tmp_path: Path, status: int | None
) -> None:
    webhook.plan = [Answer(status)] * 3
    async with alerts_to(webhook, tmp_path) as alerts:
        await alerts.tell(alert)
        await delivered(tmp_path)
    assert webhook.asked == [alert.text] * 4
    assert webhook.accepted == [alert.text]


@pytest.mark.parametrize("status", [429, 503])
async def test_it_is_left_alone_for_as_long_as_it_asks(
    webhook: HttpReceiver, alert: Alert, tmp_path: Path, status: int
) -> None:
    webhook.plan = [Answer(status, retry_after="1")]
    async with alerts_to(webhook, tmp_path) as alerts:
        await alerts.tell(alert)
        await until(lambda: bool(webhook.asked), "asked once")
        # News are no reason to disturb it.
        await alerts.tell(alert.model_copy(update={"attempt": 3}))
        await delivered(tmp_path)
    first, second, _ = webhook.asked_at
    assert second - first >= 1
    assert len(webhook.accepted) == 2


async def test_a_slow_receiver_is_not_asked_twice_and_holds_nobody_up(
    webhook: HttpReceiver, alert: Alert, tmp_path: Path
) -> None:
    release = asyncio.Event()
    webhook.plan = [Answer(after=release)]
    async with alerts_to(webhook, tmp_path) as alerts:
        await alerts.tell(alert)
        await until(lambda: bool(webhook.asked), "it has been asked")
        # These return although the receiver has not answered yet.
        for attempt in (3, 4):
            await alerts.tell(alert.model_copy(update={"attempt": attempt}))
        assert (webhook.accepted, waiting(tmp_path)) == ([], 3)
        release.set()
        await delivered(tmp_path)
    assert len(webhook.asked) == len(set(webhook.accepted)) == 3


async def test_a_receiver_that_comes_back_gets_what_came_meanwhile(
    webhook: HttpReceiver, alert: Alert, tmp_path: Path
) -> None:
    await webhook.go()
    told = [alert.model_copy(update={"attempt": attempt}) for attempt in range(2, 8)]
    async with alerts_to(webhook, tmp_path) as alerts:
        for each in told:
            await alerts.tell(each)
        assert waiting(tmp_path) == len(told)
        await webhook.come()
        await delivered(tmp_path)
    assert sorted(webhook.accepted) == [each.text for each in told]


async def test_a_receiver_that_answers_too_late_is_asked_again(
    webhook: HttpReceiver, alert: Alert, tmp_path: Path
) -> None:
    never = asyncio.Event()
    webhook.plan = [Answer(after=never)]
    limits = Limits(send_seconds=0.2, first_retry_seconds=0.02)
    async with alerts_to(webhook, tmp_path, limits) as alerts:
        await alerts.tell(alert)
        await delivered(tmp_path)
    assert (len(webhook.asked), len(webhook.accepted)) == (2, 1)


async def test_a_revoked_webhook_is_asked_once_and_a_mended_one_gets_the_alert(
    webhook: HttpReceiver, alert: Alert, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    webhook.plan = [Answer(404)]
    async with alerts_to(webhook, tmp_path) as alerts:
        await alerts.tell(alert)
        await delivered(tmp_path)
        assert (len(webhook.asked), webhook.accepted) == (1, [])
        assert "it answered HTTP 404" in caplog.text
        for file in list((tmp_path / "webhook" / "refused").iterdir()):
            file.rename(tmp_path / "webhook" / file.name)
        await until(lambda: webhook.accepted == [alert.text], "posted after all")
        await delivered(tmp_path)


async def test_a_stop_is_quick_and_leaves_the_alert_to_the_next_worker(
    webhook: HttpReceiver, alert: Alert, tmp_path: Path
) -> None:
    webhook.plan = [Answer(after=asyncio.Event())]
    async with alerts_to(webhook, tmp_path, Limits()) as alerts:
        await alerts.tell(alert)
        await until(lambda: bool(webhook.asked), "it has been asked")
        begun = time.monotonic()
    assert time.monotonic() - begun < 4
    assert (webhook.accepted, waiting(tmp_path)) == ([], 1)
    async with alerts_to(webhook, tmp_path):
        await delivered(tmp_path)
    assert webhook.accepted == [alert.text]


async def test_an_alert_of_the_last_moment_is_delivered_before_the_stop(
    webhook: HttpReceiver, alert: Alert, tmp_path: Path
) -> None:
    async with alerts_to(webhook, tmp_path, Limits()) as alerts:
        await alerts.tell(alert)
    assert webhook.accepted == [alert.text]


async def test_workers_that_share_a_folder_post_each_alert_once(
    webhook: HttpReceiver, alert: Alert, tmp_path: Path
) -> None:
    told = [alert.model_copy(update={"attempt": attempt}) for attempt in range(2, 32)]
    first, second, third = (alerts_to(webhook, tmp_path) for _ in range(3))
    async with first, second, third:
        for number, each in enumerate(told):
            await (first, second, third)[number % 3].tell(each)
        await delivered(tmp_path)
    assert sorted(webhook.asked) == sorted(webhook.accepted)
    assert sorted(webhook.accepted) == sorted(each.text for each in told)


async def test_the_url_is_nowhere_in_the_log(
    webhook: HttpReceiver, alert: Alert, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    webhook.plan = [Answer(500), Answer(None), Answer(404)]
    async with alerts_to(webhook, tmp_path) as alerts:
        await alerts.tell(alert)
        await delivered(tmp_path)
    assert len(webhook.asked) == 3
    assert "it answered HTTP 404" in caplog.text
    assert "hush-hush" not in caplog.text

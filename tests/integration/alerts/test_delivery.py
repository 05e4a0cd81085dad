"""Alerts wait in Temporal until their receivers accept them. The server and HTTP are real."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from chaos.environment.stack import StackSpec
from chaos.process.waiting import wait_until
from tests.integration.alerts.receiver import SECRET, HttpReceiver, http_receiver
from tests.integration.conftest import BenchIn
from workflows.alerts import Alerts, load_receivers
from workflows.alerts.alert import Alert
from workflows.alerts.receivers import VARIABLE

pytestmark = [pytest.mark.asyncio(loop_scope="session")]

DEADLINE_SECONDS = 30.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(
    bench_in: BenchIn, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Client]:
    folder = tmp_path_factory.mktemp("alerts")
    async with bench_in(folder, StackSpec(persistent=False)) as bench:
        yield bench.lab.client


@pytest.fixture
def receivers() -> Iterator[Sequence[HttpReceiver]]:
    with http_receiver() as first, http_receiver() as second:
        yield first, second


@pytest.fixture
def alert() -> Alert:
    return Alert(
        namespace="default",
        workflow_type="SingleVideo",
        workflow_id=uuid4().hex,
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
def made(
    client: Client,
    alert: Alert,
    receivers: Sequence[HttpReceiver],
    monkeypatch: pytest.MonkeyPatch,
) -> Alerts:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv(VARIABLE, " ".join(receiver.url for receiver in receivers))
    return Alerts(client, f"queue-{alert.workflow_id}", load_receivers(), "build")


def sending(client: Client, alert: Alert, number: int) -> WorkflowHandle[object, object]:
    """The workflow of an alert to one receiver."""
    queue = f"queue-{alert.workflow_id}-alerts-{number}"
    return client.get_workflow_handle(f"{queue}-{alert.key}")


async def until_accepted(receiver: HttpReceiver, alert: Alert) -> None:
    await wait_until(
        lambda: bool(receiver.accepted[alert.text]),
        what="the alert is accepted",
        deadline_seconds=DEADLINE_SECONDS,
    )


async def test_an_alert_goes_to_each_receiver_once_however_often_it_is_made(
    client: Client, made: Alerts, alert: Alert, receivers: Sequence[HttpReceiver]
) -> None:
    async with made:
        for _ in range(2):
            await made.tell(alert)
            for number in (1, 2):
                await sending(client, alert, number).result()

    assert [receiver.accepted for receiver in receivers] == [Counter({alert.text: 1})] * 2


async def test_a_receiver_that_hangs_delays_no_other_and_gets_the_alert_later(
    client: Client, made: Alerts, alert: Alert, receivers: Sequence[HttpReceiver]
) -> None:
    first, second = receivers
    first.hangs = True
    async with made:
        await made.tell(alert)
        await until_accepted(second, alert)
        assert first.accepted == Counter()
        first.hangs = False
        await sending(client, alert, 1).result()

    assert first.accepted == second.accepted == Counter({alert.text: 1})


async def test_a_worker_stops_although_a_receiver_hangs_and_the_next_one_sends_the_alert(
    client: Client,
    alert: Alert,
    receivers: Sequence[HttpReceiver],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, _ = receivers
    first.hangs = True
    monkeypatch.setenv(VARIABLE, f"{first.url}?rto=60")  # Apprise waits for an answer for 60 s
    async with Alerts(client, f"queue-{alert.workflow_id}", load_receivers(), "build") as alerts:
        await alerts.tell(alert)
        await wait_until(
            lambda: bool(first.asked), what="it hangs", deadline_seconds=DEADLINE_SECONDS
        )
        stopped_at = time.monotonic()
    assert time.monotonic() - stopped_at < 5.0

    first.hangs = False
    async with Alerts(client, f"queue-{alert.workflow_id}", load_receivers(), "build"):
        await sending(client, alert, 1).result()
    assert first.accepted == Counter({alert.text: 1})


async def test_a_refusal_is_retried_logged_once_and_shows_no_secret(
    client: Client,
    made: Alerts,
    alert: Alert,
    receivers: Sequence[HttpReceiver],
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, _ = receivers
    caplog.set_level(logging.INFO, "workflows.alert_delivery")
    first.status = 403
    handle = sending(client, alert, 1)
    async with made:
        await made.tell(alert)
        await wait_until(
            lambda: len(first.asked) >= 3,
            what="it is tried three times",
            deadline_seconds=DEADLINE_SECONDS,
        )
        described = await handle.describe()
        first.status = 200
        await handle.result()
        history = await handle.fetch_history()

    assert described.status is WorkflowExecutionStatus.RUNNING
    (pending,) = described.raw_description.pending_activities
    assert pending.last_failure.message == (
        "receiver 1 of ALERT_URLS (JSON) did not accept the alert."
    )
    logged = [r.getMessage() for r in caplog.records if r.name == "workflows.alert_delivery"]
    assert [line.partition(" accept")[0] for line in logged] == [
        "receiver 1 of ALERT_URLS (JSON) does not",
        "receiver 1 of ALERT_URLS (JSON)",
    ]
    assert SECRET not in f"{described.raw_description}{history.to_json()}{caplog.text}"
    assert first.accepted == Counter({alert.text: 1})

"""A courier delivers each alert, leaves a receiver alone for longer and longer, and loses none."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chaos.process.waiting import wait_until
from workflows.alerts.alert import Alert
from workflows.alerts.channel import PostponedError, RefusedError
from workflows.alerts.courier import Courier
from workflows.alerts.limits import Limits
from workflows.alerts.spool import REFUSED, Claim, Spool

LIMITS = Limits(first_retry_seconds=1, longest_retry_seconds=8, rescan_seconds=5)

Answer = Callable[[Alert], Exception | None]


class Receiver:
    """A channel that answers as it is told, and remembers what it was asked and accepted."""

    name = "receiver"
    variables = "RECEIVER_URL"

    def __init__(self, answer: Answer = lambda _: None) -> None:
        self.answer = answer
        self.asked: list[int] = []
        self.accepted: list[int] = []

    async def send(self, alert: Alert) -> None:
        self.asked.append(alert.attempt)
        error = self.answer(alert)
        if error:
            raise error
        self.accepted.append(alert.attempt)

    async def aclose(self) -> None:
        pass


class Hanging(Receiver):
    """One that never answers."""

    async def send(self, alert: Alert) -> None:
        self.asked.append(alert.attempt)
        await asyncio.Event().wait()


class Pauses:
    """Waits that take no time, except for news, and are written down."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.enough = asyncio.Event()
        self.most = 1_000

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        self.seconds.append(seconds)
        if seconds == LIMITS.rescan_seconds or len(self.seconds) >= self.most:
            self.enough.set()
            await event.wait()
        await asyncio.sleep(0)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "receiver", LIMITS)


@pytest.fixture
def alerts(alert: Alert, spool: Spool) -> list[Alert]:
    """Three that wait."""
    alerts = [alert.model_copy(update={"attempt": attempt}) for attempt in (2, 3, 4)]
    for each in alerts:
        spool.put(each)
    return alerts


@asynccontextmanager
async def running(courier: Courier) -> AsyncIterator[asyncio.Task[None]]:
    run = asyncio.create_task(courier.run())
    try:
        yield run
    finally:
        courier.stop()
        courier.cut()
        async with asyncio.timeout(5):
            await run


async def work(receiver: Receiver, spool: Spool, *, until_pauses: int = 1_000) -> Pauses:
    """Let a courier work until it is idle, or has paused so often."""
    pauses = Pauses()
    pauses.most = until_pauses
    async with running(Courier(receiver, spool, LIMITS, pauses.wait)):
        await wait_until(pauses.enough.is_set, what="it is idle", deadline_seconds=5)
    return pauses


@pytest.mark.usefixtures("alerts")
async def test_each_is_delivered_once_the_oldest_first(spool: Spool) -> None:
    receiver = Receiver()
    await work(receiver, spool)
    assert receiver.accepted == [2, 3, 4]
    assert spool.pending() == []


async def test_what_comes_later_is_delivered_too(spool: Spool, alert: Alert) -> None:
    receiver, pauses = Receiver(), Pauses()
    courier = Courier(receiver, spool, LIMITS, pauses.wait)
    async with running(courier):
        await wait_until(pauses.enough.is_set, what="it is idle", deadline_seconds=5)
        spool.put(alert)
        courier.wake()
        await wait_until(lambda: receiver.accepted == [2], what="delivered", deadline_seconds=5)


async def test_a_receiver_that_fails_is_asked_again_after_longer_and_longer(
    spool: Spool, alert: Alert
) -> None:
    spool.put(alert)
    failures = iter([PostponedError("down")] * 6)
    receiver = Receiver(lambda _: next(failures, None))
    pauses = await work(receiver, spool)
    assert pauses.seconds[:-1] == [1, 2, 4, 8, 8, 8]
    assert (receiver.asked, receiver.accepted) == ([2] * 7, [2])


async def test_the_pauses_are_short_again_after_a_success(spool: Spool, alert: Alert) -> None:
    for attempt in (2, 3):
        spool.put(alert.model_copy(update={"attempt": attempt}))
    answers = iter([PostponedError("down"), PostponedError("down"), None, PostponedError("down")])
    pauses = await work(Receiver(lambda _: next(answers, None)), spool)
    assert pauses.seconds[:-1] == [1, 2, 1]


@pytest.mark.parametrize(("wish", "pause"), [(30.0, 30.0), (0.0, 1.0), (1e9, 3600.0)])
async def test_the_receivers_wish_is_honoured_within_reason(
    spool: Spool, alert: Alert, wish: float, pause: float
) -> None:
    spool.put(alert)
    answers = iter([PostponedError("busy", wish)])
    pauses = await work(Receiver(lambda _: next(answers, None)), spool)
    assert pauses.seconds[:-1] == [pause]


@pytest.mark.usefixtures("alerts")
async def test_one_that_is_never_taken_does_not_hold_up_the_rest(spool: Spool) -> None:
    receiver = Receiver(lambda alert: PostponedError("hm") if alert.attempt == 2 else None)
    await work(receiver, spool, until_pauses=4)
    assert receiver.accepted == [3, 4]
    assert len(spool.pending()) == 1


@pytest.mark.usefixtures("alerts")
async def test_a_refused_one_is_kept_aside_and_the_rest_delivered(spool: Spool) -> None:
    receiver = Receiver(lambda alert: RefusedError("no") if alert.attempt == 3 else None)
    await work(receiver, spool)
    assert receiver.accepted == [2, 4]
    assert receiver.asked == [2, 3, 4]
    assert len(list((spool.folder / REFUSED).iterdir())) == 1


@pytest.mark.usefixtures("alerts")
async def test_a_refusal_is_told_once_with_what_to_do(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    await work(Receiver(lambda _: RefusedError("it answered HTTP 404")), spool)
    (said,) = [record.getMessage() for record in caplog.records]
    assert said == (
        "receiver refuses alerts for good: it answered HTTP 404; they are kept in "
        f"{spool.folder}/refused. Mend RECEIVER_URL, then move them back into {spool.folder}."
    )


async def test_a_failure_is_told_once_and_its_end_too(
    spool: Spool, alert: Alert, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    spool.put(alert)
    failures = iter([PostponedError("down")] * 5)
    await work(Receiver(lambda _: next(failures, None)), spool)
    first, last = [record.getMessage() for record in caplog.records]
    assert first == (
        f"alerts by receiver wait in {spool.folder}: down; trying again until they are taken."
    )
    assert last == "receiver takes alerts again."


@pytest.mark.usefixtures("alerts")
async def test_an_alert_that_the_disk_does_not_let_go_is_not_sent_again(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove, failures = Claim.remove, iter([OSError(5, "Input/output error")] * 3)

    def failing(self: Claim) -> None:
        error = next(failures, None)
        if error:
            raise error
        remove(self)

    monkeypatch.setattr(Claim, "remove", failing)
    receiver = Receiver()
    await work(receiver, spool)
    assert sorted(receiver.asked) == [2, 3, 4]
    assert spool.pending() == []


@pytest.mark.usefixtures("alerts")
async def test_an_unexpected_error_is_no_end_and_shows_nothing(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    errors = iter([LookupError("hush-hush")])
    receiver = Receiver(lambda _: next(errors, None))
    await work(receiver, spool)
    assert sorted(receiver.accepted) == [2, 3, 4]
    assert "an unexpected LookupError" in caplog.text
    assert "hush-hush" not in caplog.text


async def test_a_file_that_is_no_alert_is_put_aside(spool: Spool, alert: Alert) -> None:
    spool.put(alert)
    (spool.folder / "odd.json").write_text("{}")
    receiver = Receiver()
    await work(receiver, spool)
    assert receiver.accepted == [2]
    assert [file.name for file in (spool.folder / REFUSED).iterdir()] == ["odd.json"]


async def test_a_claim_of_another_worker_is_respected(spool: Spool, alerts: list[Alert]) -> None:
    claim = spool.claim(f"{alerts[1].key}.json")
    assert claim is not None
    receiver = Receiver()
    with claim:
        await work(receiver, spool)
    assert receiver.asked == [2, 4]


@pytest.mark.usefixtures("alerts")
async def test_two_couriers_deliver_each_alert_once(spool: Spool) -> None:
    receiver = Receiver()
    pauses = Pauses()
    first, second = (Courier(receiver, spool, LIMITS, pauses.wait) for _ in range(2))
    async with running(first), running(second):
        await wait_until(lambda: not spool.pending(), what="all gone", deadline_seconds=5)
    assert sorted(receiver.asked) == [2, 3, 4]


async def test_a_receiver_that_hangs_is_given_up_after_the_deadline(
    spool: Spool, alert: Alert
) -> None:
    spool.put(alert)
    limits, pauses = Limits(send_seconds=0.01), Pauses()
    pauses.most = 1
    receiver = Hanging()
    async with running(Courier(receiver, spool, limits, pauses.wait)):
        await wait_until(pauses.enough.is_set, what="it gave up", deadline_seconds=5)
    assert pauses.seconds[0] == 1
    assert len(spool.pending()) == 1
    # The claim has ended with the try.
    claim = spool.claim(spool.pending()[0])
    assert claim is not None
    with claim:
        assert claim.read() == alert


@pytest.mark.usefixtures("alerts")
async def test_what_waits_at_the_stop_is_delivered(spool: Spool) -> None:
    receiver = Receiver()
    courier = Courier(receiver, spool, LIMITS)
    courier.stop()
    async with asyncio.timeout(5):
        await courier.run()
    assert receiver.accepted == [2, 3, 4]


@pytest.mark.usefixtures("alerts")
async def test_a_stop_does_not_wait_for_a_receiver_that_is_left_alone(spool: Spool) -> None:
    receiver = Receiver(lambda _: PostponedError("busy", 1000.0))
    courier = Courier(receiver, spool, LIMITS)
    async with running(courier) as run:
        await wait_until(lambda: bool(receiver.asked), what="asked", deadline_seconds=5)
        courier.stop()
        async with asyncio.timeout(5):
            await run
    assert receiver.asked == [2]
    assert len(spool.pending()) == 3


async def test_a_delivery_that_is_cut_stays_for_the_next_worker(spool: Spool, alert: Alert) -> None:
    spool.put(alert)
    receiver = Hanging()
    courier = Courier(receiver, spool, LIMITS)
    async with running(courier) as run:
        await wait_until(lambda: bool(receiver.asked), what="asked", deadline_seconds=5)
        courier.stop()
        courier.cut()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await run
        assert run.done()
    assert len(spool.pending()) == 1

"""A token names one attempt: one that is over is refused, and its successor is left alone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio import activity, workflow
from temporalio.client import WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from chaos.process.waiting import wait_until
from tests.integration.fleet.supervised import DEADLINE_SECONDS
from tests.integration.workflows.bench import Bench
from workflows.fleet.failover import Failover, Handover, Loss
from workflows.fleet.reports import Event, Report, ReportingInterceptor, SupervisorLink
from workflows.models import CHARACTER, Item
from workflows.payments.calls import Limits, PaidRequest, State
from workflows.payments.journal import PaymentJournal
from workflows.policies import JOURNAL_GRACE_SECONDS, RETRY_POLICY

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]


@workflow.defn
class Patient:
    """One activity, with the policy of the real ones."""

    @workflow.run
    async def run(self) -> int:
        answer: int = await workflow.execute_activity(
            "stay", start_to_close_timeout=timedelta(minutes=5), retry_policy=RETRY_POLICY
        )
        return answer


@dataclass
class Recorder:
    """A worker in this very process, and what it tells its supervisor."""

    failover: Failover
    pipe: int
    queue: str = field(default_factory=lambda: f"recorder-{uuid4().hex}")
    attempts: dict[int, asyncio.Event] = field(default_factory=dict)
    heard: list[Report] = field(default_factory=list)

    @activity.defn
    async def stay(self) -> int:
        """Last until it is let go, then answer with its attempt."""
        number = activity.info().attempt
        self.attempts[number] = asyncio.Event()
        await self.attempts[number].wait()
        return number

    async def start(self) -> WorkflowHandle[Patient, int]:
        return await self.failover.client.start_workflow(
            Patient.run, id=self.queue, task_queue=self.queue
        )

    async def token_of(self, number: int) -> bytes:
        """Wait until that attempt runs; the token by which the server knows it."""
        await self._until(lambda: number in self.attempts, f"attempt {number} runs")
        tokens = [r.token for r in self.hear() if r.event is Event.BEGAN]
        assert len(tokens) == number
        token = tokens[-1]
        assert token
        return token

    async def has_ended(self, token: bytes) -> None:
        """Wait until the worker says that this attempt has ended."""
        report = Report(event=Event.ENDED, token=token)
        await self._until(lambda: report in self.hear(), "the end of an attempt is told")

    def hear(self) -> list[Report]:
        """All reports so far."""
        data = b""
        try:
            while chunk := os.read(self.pipe, 1 << 16):
                data += chunk
        except BlockingIOError:
            pass
        self.heard += [Report.model_validate_json(line) for line in data.splitlines()]
        return self.heard

    async def give_away(self, *tokens: bytes, sender: str = "nobody") -> Handover:
        """Fail over as if the worker had died with these in flight."""
        loss = Loss(
            pid=1,
            how="SIGKILL",
            sender=sender,
            identity=None,
            attempts=dict.fromkeys(tokens, "stay"),
            workflows=(),
            sticky_queue=None,
        )
        return await self.failover.hand_over(loss)

    async def _until(self, condition: Callable[[], bool], what: str) -> None:
        await wait_until(condition, what=what, deadline_seconds=DEADLINE_SECONDS)


@pytest_asyncio.fixture(loop_scope="session")
async def recorder(bench: Bench) -> AsyncIterator[Recorder]:
    client, url = bench.lab.client, bench.lab.payment_journal_url
    reading, writing = os.pipe()
    for end in (reading, writing):
        os.set_blocking(end, False)
    payments = await asyncio.to_thread(
        PaymentJournal.open, url, grace_seconds=JOURNAL_GRACE_SECONDS
    )
    with closing(payments), os.fdopen(reading, "rb"), os.fdopen(writing, "wb"):
        made = Recorder(Failover(client, payments), reading)
        async with Worker(
            client,
            task_queue=made.queue,
            workflows=[Patient],
            activities=[made.stay],
            interceptors=[ReportingInterceptor(SupervisorLink("nobody", writing))],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            yield made


async def test_an_attempt_is_failed_over_by_its_token_and_the_next_begins_at_once(
    recorder: Recorder,
) -> None:
    handle = await recorder.start()
    done = await recorder.give_away(await recorder.token_of(1))
    await recorder.token_of(2)
    recorder.attempts[2].set()

    assert (done.failed_over, done.over, done.left) == (1, 0, 0)
    assert await handle.result() == 2


async def test_a_stale_token_is_refused_and_the_successor_goes_on_undisturbed(
    recorder: Recorder,
) -> None:
    handle = await recorder.start()
    stale = await recorder.token_of(1)
    await recorder.give_away(stale)
    successor = await recorder.token_of(2)
    again = await asyncio.gather(*(recorder.give_away(stale) for _ in range(5)))

    assert stale != successor
    assert [(done.failed_over, done.over, done.left) for done in again] == [(0, 1, 0)] * 5
    recorder.attempts[1].set()  # the old one wakes up, and its result is refused as well
    await recorder.has_ended(stale)
    pending = (await handle.describe()).raw_description.pending_activities
    assert [one.attempt for one in pending] == [2]
    recorder.attempts[2].set()
    assert await handle.result() == 2
    assert sorted(recorder.attempts) == [1, 2]


async def test_the_token_of_an_attempt_that_is_completed_is_refused(recorder: Recorder) -> None:
    handle = await recorder.start()
    token = await recorder.token_of(1)
    recorder.attempts[1].set()
    assert await handle.result() == 1
    done = await recorder.give_away(token)
    assert (done.failed_over, done.over, done.left) == (0, 1, 0)


async def test_the_sticky_queue_of_a_worker_is_found_in_a_workflow_that_it_has(
    recorder: Recorder,
) -> None:
    handle = await recorder.start()
    await recorder.token_of(1)
    identity = recorder.failover.client.identity
    recorder.attempts[1].set()
    await handle.result()

    queue = await recorder.failover.find_sticky_queue(identity, handle.id)
    assert queue
    assert queue.startswith(identity)
    assert await recorder.failover.find_sticky_queue("1@elsewhere", handle.id) is None
    assert await recorder.failover.find_sticky_queue(identity, "no-such-workflow") is None


async def test_only_the_open_requests_of_the_dead_become_doubtful(
    recorder: Recorder, bench: Bench
) -> None:
    def intend(sender: str) -> None:
        url = bench.lab.payment_journal_url
        with closing(PaymentJournal.open(url, grace_seconds=0, sender=sender)) as payments:
            image = PaidRequest(f"of {sender}", CHARACTER, Item.IMAGE, "m", Decimal("0.01"), 90)
            payments.reserve(image, Limits(in_doubt_allowed=0))

    for sender in ("the dead", "the living"):
        await asyncio.to_thread(intend, sender)
    # Its reports named no attempt; the open calls are settled all the same.
    done = await recorder.give_away(sender="the dead")
    again = await recorder.give_away(sender="the dead")

    assert (done.calls_given_up, again.calls_given_up) == (1, 0)
    calls = await asyncio.to_thread(recorder.failover.journal.calls)
    states = {call.sender: call.state for call in calls}
    assert (states["the dead"], states["the living"]) == (State.IN_DOUBT, State.INTENT)

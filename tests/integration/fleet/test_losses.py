"""A worker dies: its attempts in flight go on at another one within moments."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator

import psutil
import pytest
import pytest_asyncio

from chaos.evidence.history import Status
from chaos.process.waiting import wait_until
from tests.chaos.video import specs
from tests.chaos.video.fake_api.bills import Call
from tests.integration.fleet.supervised import (
    DEADLINE_SECONDS,
    DRAW,
    WAIT,
    Supervised,
    only,
    paid,
    pid_of,
    supervised,
    was_failed_over,
)
from tests.integration.money.boundaries import Boundary
from tests.integration.workflows.bench import Bench, final
from workflows.models import CHARACTER
from workflows.payments.calls import State
from workflows.policies import RETRY_POLICY

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

LATE = {"IMAGE_DEADLINE_SECONDS": "90", "VIDEO_START_DEADLINE_SECONDS": "90"}
"""Deadlines of paid requests that no test would wait for."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(bench: Bench) -> AsyncIterator[Supervised]:
    """A supervisor of two for all tests that leave it with two workers."""
    async with supervised(bench, 2, name="pair") as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def pair(shared: Supervised) -> Supervised:
    """The supervisor of two, whole again."""
    await shared.is_complete_again()
    return shared


async def test_a_wait_whose_worker_is_killed_goes_on_at_another(pair: Supervised) -> None:
    spec = specs.single("killed-beside-a-standby")
    halt, pid = await pair.awaiting(spec)
    killed_at = pair.kill(pid)
    lost = await pair.has_lost(pid)
    await halt.resume()
    workflow = await pair.bench.ended(spec)

    wait = only(workflow, WAIT)
    assert workflow.status is Status.COMPLETED
    assert (wait.attempt, was_failed_over(wait)) == (2, True)
    # At the one that stands by, or at the successor, whoever asks first.
    assert pid_of(wait.worker) != pid
    # Neither the policy's 10 s nor, far more, the heartbeat timeout had to pass.
    assert wait.started_at
    assert wait.started_at - killed_at < RETRY_POLICY.initial_interval
    assert await pair.bench.billed(spec) == list(spec.prompts)
    assert (lost.how, lost.failed_over, lost.left) == ("SIGKILL", 1, 0)


async def test_a_wait_whose_only_worker_is_killed_goes_on_at_its_successor(bench: Bench) -> None:
    spec = specs.single("killed-without-a-standby")
    async with supervised(bench, 1, name=spec.workflow_id) as made:
        halt, pid = await made.awaiting(spec)
        killed_at = made.kill(pid)
        lost = await made.has_lost(pid)
        await halt.resume()
        workflow = await bench.ended(spec)

        wait = only(workflow, WAIT)
        assert workflow.status is Status.COMPLETED
        assert (wait.attempt, was_failed_over(wait)) == (2, True)
        assert [pid_of(wait.worker)] == list(made.supervisor.pids) != [pid]
        assert wait.started_at
        assert wait.started_at - killed_at < RETRY_POLICY.initial_interval
        assert await bench.billed(spec) == list(spec.prompts)
        assert (lost.how, lost.failed_over, lost.left) == ("SIGKILL", 1, 0)
        assert lost.sticky == "shut"  # it had the workflow in its cache, too


async def test_an_image_whose_sender_is_killed_is_doubtful_at_once_and_sent_once_more(
    bench: Bench,
) -> None:
    spec = specs.single("killed-in-flight")
    async with supervised(bench, 2, name=spec.workflow_id, settings=LATE) as made:
        halt, pid = await made.drawing(spec)
        made.kill(pid)
        lost = await made.has_lost(pid)
        first = (await paid(bench, spec, CHARACTER))[0]
        workflow = await bench.ended(spec)
        await halt.resume()

        assert (first.state, first.reason) == (
            State.IN_DOUBT,
            "its sender died before it recorded an outcome",
        )
        assert (workflow.status, only(workflow, DRAW).attempt) == (Status.COMPLETED, 2)
        assert workflow.closed_at
        assert workflow.closed_at < first.deadline_at
        assert [call for call, _ in await bench.requested(spec)] == [
            *(Call.IMAGE, Call.IMAGE),
            Call.VIDEO_START,
        ]
        assert [call.state for call in await paid(bench, spec, CHARACTER)] == [
            State.IN_DOUBT,
            State.DONE,
        ]
        assert final(workflow).possible_waste_usd == first.cost_usd
        assert (lost.failed_over, lost.calls) == (1, 1)


async def test_a_reply_that_was_on_disk_when_its_worker_died_is_found_and_nothing_sent_again(
    bench: Bench,
) -> None:
    spec = specs.single("killed-with-the-reply-on-disk")
    stop_there = ("-m", "tests.integration.money.stopping", Boundary.REPLY_RENAMED, CHARACTER)
    async with supervised(
        bench, 1, name=spec.workflow_id, command=stop_there, settings=LATE
    ) as made:
        (pid,) = made.supervisor.pids
        await made.start(spec)
        await made.says(f"stopped at {Boundary.REPLY_RENAMED} of {CHARACTER}")
        made.kill(pid)
        lost = await made.has_lost(pid)
        workflow = await bench.ended(spec)

        assert (lost.failed_over, lost.calls) == (1, 1)  # the payment journal records the doubt
        assert (workflow.status, only(workflow, DRAW).attempt) == (Status.COMPLETED, 2)
        assert [call.state for call in await paid(bench, spec, CHARACTER)] == [State.DONE]
        assert await bench.requested(spec) == [
            (Call.IMAGE, spec.character_prompt),
            (Call.VIDEO_START, spec.video_prompts[0]),
        ]
        assert final(workflow).possible_waste_usd == 0


async def test_a_paused_worker_is_killed_replaced_and_its_work_failed_over(
    pair: Supervised,
) -> None:
    spec = specs.single("paused")
    halt, pid = await pair.awaiting(spec)
    pair.supervisor.signal(pid, signal.SIGSTOP)
    lost = await pair.has_lost(pid)
    await halt.resume()
    workflow = await pair.bench.ended(spec)
    await pair.is_complete_again()

    assert f"worker-{lost.number} (pid {pid}) is paused; it is killed" in pair.log
    assert (lost.how, lost.failed_over) == ("SIGKILL", 1)
    wait = only(workflow, WAIT)
    assert (wait.attempt, was_failed_over(wait)) == (2, True)
    assert workflow.status is Status.COMPLETED
    assert pid not in pair.supervisor.pids


async def test_a_worker_that_is_paused_only_for_a_moment_is_left_alone(pair: Supervised) -> None:
    spec = specs.single("paused-for-a-moment")
    halt, pid = await pair.awaiting(spec)
    worker = psutil.Process(pid)
    pair.supervisor.signal(pid, signal.SIGSTOP)
    await wait_until(
        lambda: worker.status() == psutil.STATUS_STOPPED,
        what="it is stopped",
        deadline_seconds=DEADLINE_SECONDS,
    )
    worker.resume()
    await pair.bench.lab.until_polled(spec.video_prompts[0])
    await halt.resume()
    workflow = await pair.bench.ended(spec)

    assert only(workflow, WAIT).attempt == 1
    assert pid in pair.supervisor.pids


async def test_an_activity_that_loses_its_worker_three_times_in_a_row_is_scheduled_anew(
    pair: Supervised,
) -> None:
    spec = specs.single("killed-three-times")
    halt, pid = await pair.awaiting(spec)
    killed = [pid]
    for number in (2, 3):
        pair.kill(pid)
        pid = await pair.waits_in_attempt(spec, number)
        killed.append(pid)
    pair.kill(pid)
    await pair.has_lost(pid)
    await pair.waits_in_attempt(spec, 1)
    await halt.resume()
    workflow = await pair.bench.ended(spec)

    assert workflow.status is Status.COMPLETED
    waits = [activity for activity in workflow.activities if activity.kind == WAIT]
    assert [(wait.attempt, was_failed_over(wait)) for wait in waits] == [(3, True), (1, False)]
    assert await pair.bench.billed(spec) == list(spec.prompts)
    losses = [await pair.has_lost(one) for one in killed]
    assert [(lost.how, lost.failed_over) for lost in losses] == [("SIGKILL", 1)] * 3

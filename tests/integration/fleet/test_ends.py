"""The end of a supervisor, in order or not: what is paid for is kept, and no worker outlives it."""

from __future__ import annotations

import signal

import pytest

from chaos.evidence.history import Status
from tests.chaos.video import specs
from tests.integration.fleet.supervised import (
    DRAW,
    all_gone,
    is_there,
    only,
    paid,
    supervised,
)
from tests.integration.workflows.bench import Bench
from workflows.models import CHARACTER
from workflows.payments.calls import State

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

LATE = {"IMAGE_DEADLINE_SECONDS": "90"}
"""A deadline that no test would wait for."""


async def test_workers_whose_supervisor_is_killed_finish_what_they_pay_for_and_end(
    bench: Bench,
) -> None:
    spec = specs.single("fleet-killed")
    async with supervised(bench, 3, name=spec.workflow_id, settings=LATE) as made:
        pids = made.supervisor.pids
        halt, pid = await made.drawing(spec)
        paused, idle = (other for other in pids if other != pid)
        made.supervisor.signal(
            paused, signal.SIGSTOP
        )  # it cannot see by itself that its supervisor is gone
        await made.supervisor.child.kill()
        await all_gone([paused, idle])
        assert is_there(pid)
        await halt.resume()
        await all_gone([pid])

        (call,) = await paid(bench, spec, CHARACTER)
        assert call.state is State.DONE
    async with supervised(bench, 1, name=spec.workflow_id):
        workflow = await bench.ended(spec)
        assert workflow.status is Status.COMPLETED
        assert {activity.attempt for activity in workflow.activities} == {1}
        assert await bench.billed(spec) == list(spec.prompts)


async def test_told_to_stop_a_supervisor_lets_its_workers_finish_what_they_pay_for(
    bench: Bench,
) -> None:
    spec = specs.single("fleet-stopped")
    async with supervised(bench, 2, name=spec.workflow_id, settings=LATE) as made:
        pids = made.supervisor.pids
        halt, pid = await made.drawing(spec)
        (idle,) = (other for other in pids if other != pid)
        made.supervisor.child.send(signal.SIGTERM)
        await all_gone([idle])
        assert is_there(pid)
        await halt.resume()
        exit_code = await made.supervisor.child.wait(40)

        (call,) = await paid(bench, spec, CHARACTER)
        assert (exit_code, call.state) == (0, State.DONE)
        assert not any(is_there(pid) for pid in pids)
        assert made.losses == []
        assert (made.tally["starts"], made.tally["losses"]) == (2, 0)
    async with supervised(bench, 1, name=spec.workflow_id):
        workflow = await bench.ended(spec)
        assert only(workflow, DRAW).attempt == 1
        assert await bench.billed(spec) == list(spec.prompts)


async def test_told_twice_to_stop_a_supervisor_kills_its_workers_and_says_so(bench: Bench) -> None:
    spec = specs.single("fleet-stopped-twice")
    async with supervised(bench, 2, name=spec.workflow_id, settings=LATE) as made:
        pids = made.supervisor.pids
        halt, pid = await made.drawing(spec)
        made.supervisor.child.send(signal.SIGTERM)
        await made.says("stopping: attempts in flight may take")
        made.supervisor.child.send(signal.SIGTERM)
        # The request is held all the time, so nobody can have finished it.
        exit_code = await made.supervisor.child.wait(40)

        assert exit_code == 1
        assert not any(is_there(pid) for pid in pids)
        assert "second request to stop: killing the remaining workers" in made.log
        (lost,) = (lost for lost in made.losses if lost.pid == pid)
        assert (lost.how, lost.failed_over, lost.calls) == ("SIGKILL", 1, 1)
        (call,) = await paid(bench, spec, CHARACTER)
        assert call.state is State.IN_DOUBT
        await halt.resume()


async def test_a_worker_that_somebody_else_stops_is_replaced_without_a_loss(bench: Bench) -> None:
    async with supervised(bench, 1, name="one-stopped") as made:
        (pid,) = made.supervisor.pids
        made.supervisor.signal(pid, signal.SIGTERM)
        await made.says(f"worker-1 (pid {pid}) ended")
        await made.is_complete_again()

        assert made.pid_at(1) != pid
        assert made.losses == []

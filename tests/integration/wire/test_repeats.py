"""A worker that dies between its service's answer and its own report, and what was asked twice."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio.client import WorkflowHandle

from chaos.environment.server import TemporalServer
from chaos.environment.temporal import connect
from chaos.wire.journal import read_wire
from chaos.wire.repeats import Harm, Repeat, repeats
from tests.integration.wire.bed import DEADLINE_SECONDS, QUEUE, Bed, Lane, WireProcess, reached
from tests.integration.wire.conftest import NewNamespace
from tests.integration.wire.http_bed import Service, service_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORKER = Path(__file__).parents[2] / "data" / "guests" / "paying" / "worker.py"


@pytest_asyncio.fixture(loop_scope="module")
async def paying(
    module_bed: Bed, process: WireProcess, server: TemporalServer, new_namespace: NewNamespace
) -> AsyncIterator[tuple[Lane, Service]]:
    """A worker whose server and whose service are both behind the wire."""
    name, namespace = f"worker-{uuid4().hex[:8]}", await new_namespace()
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(service_in(module_bed, process, name))
        port = await process.line(name, server.address, namespace)
        settings = {"TEMPORAL_ADDRESS": port.address, "PAYMENTS_URL": service.url}
        worker = module_bed.child(name, [sys.executable, WORKER], settings)
        client = await connect(server.address, namespace=namespace)
        lane = Lane(process, name, port, client, worker)
        await lane.start_worker()
        yield lane, service
        await worker.discard()
        await process.wire.close_line(name)


@pytest.mark.parametrize(("key", "harm"), [("", Harm.TWICE), ("order-7", Harm.TELLS)])
async def test_a_worker_killed_before_it_heard_the_answer_asks_again(
    paying: tuple[Lane, Service], key: str, harm: Harm
) -> None:
    lane, service = paying
    async with await service.set("call POST /charges answered") as held:
        workflow = await _start(lane, key)
        crossing = (await reached(held)).crossing
        assert (crossing.workflow_id, crossing.during) == ("order-7", ("charge",))
        await lane.worker.kill()
    await lane.start_worker()
    await _done(workflow)
    first, second = await service.calls(2)
    assert (first.decision, second.decision) == ("left", "")
    assert [call.crossings[0].attempt for call in (first, second)] == [1, 2]
    (repeat,) = _repeats(lane, service)
    assert (repeat.harm, len(repeat.calls), repeat.during) == (harm, 2, ("charge",))
    assert len(service.booked()) == 2


async def test_one_killed_before_the_request_left_asks_once(paying: tuple[Lane, Service]) -> None:
    lane, service = paying
    async with await service.set("call POST /charges leaving") as held:
        workflow = await _start(lane)
        await reached(held)
        await lane.worker.kill()
    await lane.start_worker()
    await _done(workflow)
    assert len(await service.calls(2)) == 2
    assert len(service.booked()) == 1
    assert _repeats(lane, service) == ()


async def test_two_activities_that_ask_for_the_same_are_no_repeat(
    paying: tuple[Lane, Service],
) -> None:
    lane, service = paying
    workflow = await _start(lane, times=2)
    await _done(workflow)
    calls = await service.calls(2)
    assert [call.crossings[0].during for call in calls] == [("charge",), ("charge 2",)]
    assert _repeats(lane, service) == ()


async def test_executed_and_then_failed_is_paid_twice_without_a_key(
    paying: tuple[Lane, Service],
) -> None:
    lane, service = paying
    async with await service.set("call POST /charges answered") as held:
        workflow = await _start(lane)
        await service.wire.decide(await reached(held), "404")
    await _done(workflow)
    assert [repeat.harm for repeat in _repeats(lane, service)] == [Harm.TWICE]


async def _start(lane: Lane, key: str = "", times: int = 1) -> WorkflowHandle[object, object]:
    return await lane.client.start_workflow(
        "Paying", args=[key, times], id="order-7", task_queue=QUEUE
    )


async def _done(workflow: WorkflowHandle[object, object]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        await workflow.result()


def _repeats(lane: Lane, service: Service) -> Sequence[Repeat]:
    """Of this test's lines, for all tests have one folder."""
    wire = read_wire(lane.process.bed.folder)
    return repeats({line: wire[line] for line in (lane.line, service.line)})

"""What a line makes of its worker's calls: polls, and what has arrived."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import ActivityType, WorkflowExecution
from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    RecordActivityTaskHeartbeatRequest,
)

from chaos.network.journal import RecordFile
from chaos.wire.boundary import Boundary
from chaos.wire.breakpoints import Breakpoints
from chaos.wire.grpc_work import Work
from chaos.wire.methods import SERVICE
from chaos.wire.specs import BreakpointSpec, LineSpec, Upstream
from chaos.wire.tasks import InFlight
from chaos.wire.tracking import Tracker

POLL = SERVICE + "PollActivityTaskQueue"
DESCRIBE = SERVICE + "DescribeNamespace"
LONGER_THAN_A_QUIET_WORKER_IS_WAITED_FOR = 5.0


class Context:
    """What is asked of gRPC's."""

    def __init__(self) -> None:
        self.done: list[Callable[[Any], None]] = []

    def peer(self) -> str:
        return "peer-1"

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self.done.append(callback)


class Bed:
    def __init__(self, folder: Path, namespace: str = "") -> None:
        self.told: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
        self.in_flight = InFlight()
        self.breakpoints = Breakpoints(self.told.put_nowait)
        self.journal = RecordFile(folder / "worker-1.jsonl", "worker-1", pytest.fail)
        upstream = Upstream(address="127.0.0.1:1")
        spec = LineSpec(name="worker-1", port=1, upstream=upstream, namespace=namespace)
        tracker = Tracker(self.in_flight)
        self.work = Work(spec, self.breakpoints, self.journal, tracker, self.told.put_nowait)

    def poll(self, peer: str, queue: str = "q", identity: str = "1@host") -> None:
        request = PollActivityTaskQueueRequest(task_queue=TaskQueue(name=queue), identity=identity)
        self.work.called(peer, POLL, request)

    def give(self) -> Context:
        """An activity to the worker."""
        reply = PollActivityTaskQueueResponse(
            task_token=b"t",
            workflow_execution=WorkflowExecution(workflow_id="w", run_id="r"),
            activity_type=ActivityType(name="pack"),
            activity_id="1",
        )
        request, context = PollActivityTaskQueueRequest(), Context()
        _, assigned = self.work.answered(POLL, request, reply, ())
        self.work.handing_over(request, assigned, context)
        return context

    def polls(self) -> list[tuple[str, str]]:
        told = [self.told.get_nowait() for _ in range(self.told.qsize())]
        return [(event["polled"]["queue"], event["polled"]["identity"]) for event in told]


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    bed = Bed(tmp_path)
    yield bed
    bed.journal.close()


async def test_a_poll_is_told_once_by_a_connection_and_queue(bed: Bed) -> None:
    for _ in range(2):
        bed.poll("peer-1")
    bed.poll("peer-1", queue="other")
    bed.poll("peer-2")
    assert bed.polls() == [("q", "1@host"), ("other", "1@host"), ("q", "1@host")]


async def test_a_sticky_queue_is_no_queue_of_the_users(bed: Bed) -> None:
    queue = TaskQueue(name="s", kind=TaskQueueKind.TASK_QUEUE_KIND_STICKY, normal_name="q")
    bed.work.called("peer-1", POLL, PollActivityTaskQueueRequest(task_queue=queue))
    assert bed.polls() == []


async def test_a_worker_with_another_connection_keeps_what_it_has(bed: Bed) -> None:
    bed.poll("peer-1")
    bed.give()
    with bed.work.in_flight("peer-1"), bed.work.in_flight("peer-2"):
        bed.poll("peer-2")
    with bed.work.in_flight("peer-1"):
        bed.poll("peer-1", queue="other")
    assert len(bed.in_flight.of("worker-1")) == 1


async def test_a_worker_in_anothers_place_has_nothing(bed: Bed) -> None:
    bed.poll("peer-1")
    bed.give()
    with bed.work.in_flight("peer-2"):
        bed.poll("peer-2")
    assert bed.in_flight.of("worker-1") == ()


async def test_the_next_call_proves_that_it_was_delivered(bed: Bed) -> None:
    delivered = Boundary.parse("activity pack delivered")
    bed.breakpoints.set(BreakpointSpec(number=1, boundary=delivered))
    (sent,) = bed.give().done
    bed.work.called("peer-1", DESCRIBE, None)
    assert bed.told.empty(), "it is not sent yet"
    sent(None)
    bed.work.called("peer-2", DESCRIBE, None)
    assert bed.told.empty(), "another's call proves nothing"
    bed.work.called("peer-1", DESCRIBE, None)
    assert bed.told.get_nowait()["event"] == "reached"


async def test_a_quiet_worker_is_busy_with_it(bed: Bed) -> None:
    delivered = Boundary.parse("activity pack delivered")
    bed.breakpoints.set(BreakpointSpec(number=1, boundary=delivered))
    (sent,) = bed.give().done
    sent(None)
    async with asyncio.timeout(LONGER_THAN_A_QUIET_WORKER_IS_WAITED_FOR):
        assert (await bed.told.get())["event"] == "reached"


async def test_where_no_breakpoint_is_nothing_is_expected(bed: Bed) -> None:
    assert bed.give().done == []


@pytest.mark.parametrize(
    ("namespace", "method", "is_read"),
    [("", DESCRIBE, False), ("lane", DESCRIBE, True), ("", POLL, True), ("lane", "/x/Y", False)],
)
def test_only_what_is_needed_is_read(
    tmp_path: Path, namespace: str, method: str, is_read: bool
) -> None:
    work = Bed(tmp_path, namespace).work
    data = DescribeNamespaceRequest(namespace="n").SerializeToString()
    assert (work.read(method, "Request", data) is not None) is is_read


def test_what_cannot_be_read_passes(bed: Bed) -> None:
    assert bed.work.read(POLL, "Request", b"\xff") is None
    heartbeat = SERVICE + "RecordActivityTaskHeartbeat"
    assert bed.work.sent(heartbeat, RecordActivityTaskHeartbeatRequest(task_token=b"?")) == ()

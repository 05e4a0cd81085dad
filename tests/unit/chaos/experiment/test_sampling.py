"""The backlog of task queues: what servers answer, and that no failure comes of asking."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.taskqueue.v1 import (
    TaskQueueStats,
    TaskQueueTypeInfo,
    TaskQueueVersionInfo,
)
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
)
from temporalio.service import RPCError, RPCStatusCode

from chaos.evidence.samples import BACKLOG, BACKLOG_AGE, SampleFile, over_time, read_samples
from chaos.experiment.sampling import Queues, sampled
from chaos.process.waiting import wait_until

Answer = Callable[[DescribeTaskQueueRequest], DescribeTaskQueueResponse]


def _client(answer: Answer) -> tuple[Any, list[DescribeTaskQueueRequest]]:
    asked: list[DescribeTaskQueueRequest] = []

    async def describe(
        request: DescribeTaskQueueRequest, **options: timedelta
    ) -> DescribeTaskQueueResponse:
        assert options["timeout"] <= timedelta(seconds=2)
        asked.append(DescribeTaskQueueRequest.FromString(request.SerializeToString()))
        return answer(request)

    service = SimpleNamespace(describe_task_queue=describe)
    return SimpleNamespace(namespace="default", workflow_service=service), asked


def _stats(count: int, age: float) -> TaskQueueStats:
    oldest = Duration()
    oldest.FromTimedelta(timedelta(seconds=age))
    return TaskQueueStats(approximate_backlog_count=count, approximate_backlog_age=oldest)


async def test_each_queue_is_asked_for_both_kinds_by_its_real_name() -> None:
    def answer(request: DescribeTaskQueueRequest) -> DescribeTaskQueueResponse:
        return DescribeTaskQueueResponse(stats=_stats(request.task_queue_type * 10, 1.25))

    client, asked = _client(answer)

    samples = await Queues(client, "run-7-", lambda: ["orders", "mails"]).sample()

    assert {request.task_queue.name for request in asked} == {"run-7-orders", "run-7-mails"}
    assert len({sample.at for sample in samples}) == 1
    own = [s for s in samples if s.labels == {"task_queue": "orders", "kind": "activity"}]
    assert {s.name: s.value for s in own}[BACKLOG] == 20.0
    assert {s.name: s.value for s in own}[BACKLOG_AGE] == 1.25


async def test_an_older_server_counts_by_version_for_those_who_ask_so() -> None:
    def answer(request: DescribeTaskQueueRequest) -> DescribeTaskQueueResponse:
        if not request.api_mode:
            return DescribeTaskQueueResponse()
        kind = request.task_queue_types[0]
        return DescribeTaskQueueResponse(
            versions_info={
                version: TaskQueueVersionInfo(
                    types_info={kind: TaskQueueTypeInfo(stats=_stats(count, age))}
                )
                for version, count, age in (("", 2, 5.0), ("v2", 3, 1.0))
            }
        )

    client, _ = _client(answer)

    samples = await Queues(client, "", lambda: ["orders"]).sample()

    assert [value for _, value in over_time(samples, BACKLOG, kind="workflow")] == [5.0]
    assert [value for _, value in over_time(samples, BACKLOG_AGE, kind="workflow")] == [5.0]


@pytest.mark.parametrize(
    "error",
    [RPCError("away", RPCStatusCode.UNAVAILABLE, b""), RuntimeError("no connection")],
)
async def test_a_server_that_is_down_is_a_gap(error: Exception, tmp_path: Path) -> None:
    down = False
    answered = asyncio.Event()

    def answer(_: DescribeTaskQueueRequest) -> DescribeTaskQueueResponse:
        answered.set()
        if down:
            raise error
        return DescribeTaskQueueResponse(stats=_stats(1, 0))

    client, _ = _client(answer)

    with closing(SampleFile(tmp_path)) as file:
        async with sampled(Queues(client, "", lambda: ["orders"]), file, 0.01):
            await wait_until(
                lambda: bool(read_samples(tmp_path)), what="a sample", deadline_seconds=10
            )
            down = True
            answered.clear()
            await answered.wait()

    assert over_time(read_samples(tmp_path), BACKLOG)
    assert {value for _, value in over_time(read_samples(tmp_path), BACKLOG)} == {2.0}


async def test_one_that_counts_nothing_leaves_nothing(tmp_path: Path) -> None:
    client, asked = _client(lambda _: DescribeTaskQueueResponse())

    async with sampled(Queues(client, "", lambda: ["orders"]), SampleFile(tmp_path), 60):
        pass

    assert asked
    assert read_samples(tmp_path) == ()


async def test_the_last_sample_is_of_the_end(tmp_path: Path) -> None:
    depth = 7

    def answer(_: DescribeTaskQueueRequest) -> DescribeTaskQueueResponse:
        return DescribeTaskQueueResponse(stats=_stats(depth, 0))

    client, _ = _client(answer)

    with closing(SampleFile(tmp_path)) as file:
        async with sampled(Queues(client, "", lambda: ["orders"]), file, 60):
            await wait_until(
                lambda: bool(read_samples(tmp_path)), what="a sample", deadline_seconds=10
            )
            depth = 0

    assert [value for _, value in over_time(read_samples(tmp_path), BACKLOG)] == [14.0, 0.0]


async def test_an_error_within_the_block_is_not_hidden(tmp_path: Path) -> None:
    client, _ = _client(lambda _: DescribeTaskQueueResponse())

    with pytest.raises(ZeroDivisionError):
        async with sampled(Queues(client, "", lambda: ["orders"]), SampleFile(tmp_path), 60):
            raise ZeroDivisionError

"""How an experiment waits for the end, and what it asks the server for that."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import WorkflowExecutionStatus, WorkflowHistoryEventFilterType
from temporalio.service import RPCError, RPCStatusCode

from chaos.environment.target import Live, Target
from chaos.evidence.journal import Journal
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.ends import AWAITED_AT_ONCE
from chaos.experiment.lab import STEP_DEADLINE_SECONDS, Lab, Options
from chaos.process.waiting import DeadlineExceededError, wait_until

TARGET = Target(worker=("true",), task_queue="orders")
IDS = tuple(f"w-{n}" for n in range(100))


class Server:
    """It counts what it is asked, and says when a workflow ends; those of `open` go on."""

    def __init__(self, open_ids: Iterable[str] = (), *, refuses_once: bool = False) -> None:
        self.open = set(open_ids)
        self._refuses_once = refuses_once
        self.asked: Counter[str] = Counter()
        self.waiting = 0
        self._closed = asyncio.Condition()

    async def end(self, *workflow_ids: str) -> None:
        async with self._closed:
            self.open -= set(workflow_ids)
            self._closed.notify_all()

    def get_workflow_handle(self, workflow_id: str) -> Any:
        async def describe(*, rpc_timeout: timedelta) -> Any:
            del rpc_timeout
            self.asked[workflow_id] += 1
            status = WorkflowExecutionStatus
            is_open = workflow_id in self.open
            return SimpleNamespace(status=status.RUNNING if is_open else status.COMPLETED)

        async def fetch_history_events(**options: object) -> AsyncIterator[str]:
            assert options["wait_new_event"]
            assert options["event_filter_type"] is WorkflowHistoryEventFilterType.CLOSE_EVENT
            if self._refuses_once:
                self._refuses_once = False
                raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")
            self.waiting += 1
            try:
                async with self._closed:
                    await self._closed.wait_for(lambda: workflow_id not in self.open)
            finally:
                self.waiting -= 1
            yield "closed"

        return SimpleNamespace(describe=describe, fetch_history_events=fetch_history_events)


def _lab(tmp_path: Path, server: Server, ids: Iterable[str], ended: list[str]) -> Lab:
    stack: Any = SimpleNamespace(target=TARGET, client=server, temporal=SimpleNamespace(prefix=""))
    journal = Journal(tmp_path / "journal.jsonl", lambda _: None)
    journal.close()  # nothing is read of it
    lab = Lab(stack, journal, Options(), on_ended=ended.append)
    lab.specs.extend(WorkflowSpec(workflow_id=each, workflow_type="Order") for each in ids)
    return lab


async def test_each_that_has_ended_is_told_once_even_while_the_first_goes_on(
    tmp_path: Path,
) -> None:
    ended: list[str] = []
    server = Server({"w-0"})

    with pytest.raises(DeadlineExceededError, match="w-0, w-1, w-2, w-3, w-4 … end"):
        await _lab(tmp_path, server, IDS, ended).converge(0.35)

    assert sorted(ended) == sorted(IDS[1:])


async def test_while_nothing_ends_the_server_is_asked_once_and_tells_when_one_does(
    tmp_path: Path,
) -> None:
    ended: list[str] = []
    few = IDS[:10]
    server = Server(few)
    converging = asyncio.create_task(_lab(tmp_path, server, few, ended).converge(10))
    await wait_until(lambda: server.waiting == len(few), what="all wait", deadline_seconds=5)

    assert server.asked == Counter(few)
    await server.end(*few)
    await converging
    assert sorted(ended) == sorted(few)
    assert set(server.asked.values()) == {2}


async def test_no_more_than_so_many_are_awaited_at_once(tmp_path: Path) -> None:
    server = Server(IDS)
    converging = asyncio.create_task(_lab(tmp_path, server, IDS, []).converge(10))
    await wait_until(lambda: server.waiting > 0, what="some wait", deadline_seconds=5)
    await asyncio.sleep(0)  # so would the others, by now

    assert server.waiting <= AWAITED_AT_ONCE < len(IDS)
    await server.end(*IDS)
    await converging


async def test_a_server_that_is_away_is_asked_again(tmp_path: Path) -> None:
    ended: list[str] = []
    server = Server({"w-0"}, refuses_once=True)
    converging = asyncio.create_task(_lab(tmp_path, server, ["w-0"], ended).converge(10))
    await wait_until(lambda: server.waiting == 1, what="it waits", deadline_seconds=5)

    assert server.asked["w-0"] == 2
    await server.end("w-0")
    await converging
    assert ended == ["w-0"]


async def test_when_all_have_ended_it_is_over_at_once(tmp_path: Path) -> None:
    ended: list[str] = []
    server = Server()
    await _lab(tmp_path, server, IDS, ended).converge(10)

    assert (sorted(server.asked), sorted(ended)) == (sorted(IDS), sorted(IDS))
    assert set(server.asked.values()) == {1}


async def test_a_server_that_is_too_busy_to_tell_what_is_in_hand_is_asked_again(
    tmp_path: Path,
) -> None:
    started = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
    pending = SimpleNamespace(
        activity_type=SimpleNamespace(name="charge"), state=started, last_worker_identity="7@pod-1"
    )
    answers: list[Any] = [RPCError("Timeout expired", RPCStatusCode.DEADLINE_EXCEEDED, b"")]

    async def describe(**_: object) -> Any:
        if answers:
            raise answers.pop()
        description = SimpleNamespace(pending_activities=[pending])
        status = WorkflowExecutionStatus.RUNNING
        return SimpleNamespace(status=status, raw_description=description)

    server: Any = SimpleNamespace(
        get_workflow_handle=lambda _: SimpleNamespace(describe=describe),
    )

    lab = _lab(tmp_path, server, [], [])

    assert await lab.until_in_flight("w-0", "charge") == "7@pod-1"
    assert not answers


@pytest.mark.parametrize(
    ("live", "seconds"),
    [(None, STEP_DEADLINE_SECONDS), (Live(Decimal(1), (), lambda _: None, 900.0), 900.0)],
    ids=["mocked", "live"],
)
async def test_a_step_may_take_as_long_as_real_paid_work_needs(
    live: Live | None, seconds: float, tmp_path: Path
) -> None:
    lab = _lab(tmp_path, Server(), [], [])
    lab.stack.target = replace(TARGET, live=live)

    assert lab.step_deadline_seconds == seconds

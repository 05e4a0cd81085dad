"""How an experiment waits for the end, and what it asks the server for that."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from chaos import workload
from chaos.journal import Journal
from chaos.lab import Lab, Options
from chaos.waiting import DeadlineExceededError

IDS = tuple(f"w-{n}" for n in range(100))


class Server:
    """It counts what it is asked; a workflow ends when it was asked for so often."""

    def __init__(self, ends_at_question: dict[str, int]) -> None:
        self.asked: list[str] = []
        self._ends_at = ends_at_question

    def get_workflow_handle(self, workflow_id: str) -> Any:
        async def describe(*, rpc_timeout: timedelta) -> Any:
            del rpc_timeout
            self.asked.append(workflow_id)
            has_ended = len(self.asked) >= self._ends_at.get(workflow_id, 0)
            status = WorkflowExecutionStatus
            return SimpleNamespace(status=status.COMPLETED if has_ended else status.RUNNING)

        return SimpleNamespace(describe=describe)


def _lab(tmp_path: Path, server: Server, ids: Iterable[str], ended: list[str]) -> Lab:
    stack: Any = SimpleNamespace(
        has_api=False, live=False, client=server, temporal=SimpleNamespace(prefix="")
    )
    journal = Journal(tmp_path / "journal.jsonl", lambda _: None)
    journal.close()  # nothing is read of it
    lab = Lab(stack, journal, Options(), on_ended=ended.append)
    lab.expectations.extend(workload.single(workflow_id) for workflow_id in ids)
    return lab


async def test_each_that_has_ended_is_told_once_even_while_the_first_goes_on(
    tmp_path: Path,
) -> None:
    ended: list[str] = []
    server = Server({"w-0": 1000})

    with pytest.raises(DeadlineExceededError, match="w-0, w-1, w-2, w-3, w-4 … end"):
        await _lab(tmp_path, server, IDS, ended).converge(0.35)

    assert ended == list(IDS[1:])


async def test_while_nothing_ends_each_look_asks_one_question_and_each_gets_its_turn(
    tmp_path: Path,
) -> None:
    ended: list[str] = []
    server = Server(dict.fromkeys(IDS, 1000))
    lab, open_ids = _lab(tmp_path, server, IDS, ended), deque(IDS)

    for _ in range(200):
        assert not await lab._all_ended(open_ids)

    assert server.asked == [*IDS, *IDS]
    assert ended == []


async def test_when_all_have_ended_it_is_over_at_once(tmp_path: Path) -> None:
    ended: list[str] = []
    server = Server({})
    await _lab(tmp_path, server, IDS, ended).converge(0)

    assert server.asked == ended == list(IDS)

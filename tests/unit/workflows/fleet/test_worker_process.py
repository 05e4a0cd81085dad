"""Which end of a worker is a loss, after which its attempts in flight are failed over."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping

import pytest

from workflows.fleet.child_process import Process
from workflows.fleet.reports import Event, Report
from workflows.fleet.worker_process import WorkerProcess

TOKEN = b"one attempt"


async def _member(script: str) -> WorkerProcess:
    async def launch(environment: Mapping[str, str], reports: int) -> Process:
        del environment, reports
        return await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", script), stdout=asyncio.subprocess.PIPE
        )

    return await WorkerProcess.start(1, (launch,), {}, lambda _: None)


@pytest.mark.parametrize(
    ("script", "told_to_stop", "in_order"),
    [
        ("exit 0", False, True),
        ("exit 1", False, False),
        ("kill -TERM $$", False, False),
        ("kill -TERM $$", True, True),
        ("kill -KILL $$", True, False),
    ],
)
async def test_a_worker_ends_in_order_by_itself_or_when_it_is_told(
    script: str, told_to_stop: bool, in_order: bool
) -> None:
    worker = await _member(script)
    await worker.ended()
    if told_to_stop:
        worker.told_to_stop = True

    assert worker.ended_in_order is in_order


async def test_one_that_leaves_an_attempt_behind_is_lost_whatever_its_exit_code() -> None:
    worker = await _member("exit 0")
    worker.in_flight.take(Report(event=Event.BEGAN, token=TOKEN))
    await worker.ended()
    assert not worker.ended_in_order

    worker.in_flight.take(Report(event=Event.ENDED, token=TOKEN))
    assert worker.ended_in_order


async def test_what_ended_it_is_told_in_words() -> None:
    assert await (await _member("exit 3")).ended() == "exit code 3"
    assert await (await _member("kill -KILL $$")).ended() == signal.SIGKILL.name

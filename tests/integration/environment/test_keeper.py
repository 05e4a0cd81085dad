"""The harness keeps the workers of a target that has no supervisor: real ones, on a real server."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from chaos.environment.keeper import WorkerKeeper
from chaos.environment.stack import NotHereError, Stack, StackConfig, StackSpec
from chaos.environment.target import Target
from chaos.evidence.journal import Entry, Event, Journal, read_journal
from chaos.experiment.lab import Lab, Options
from chaos.faults import KillWorker, OutOfMemory, PauseWorker
from chaos.invariants.recovery.faults import Component, component_of
from chaos.process.child import ChildError
from chaos.process.reaper import Reaper
from chaos.process.waiting import wait_until

WORKER = """
import asyncio, os
from temporalio import activity
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker


@activity.defn
async def nothing() -> None: ...


async def main() -> None:
    if os.path.exists("broken"):
        raise SystemExit(3)
    client = await Client.connect(**ClientConfig.load_client_connect_config())
    queue = os.environ["TASK_QUEUE"]
    from flow import Flow
    async with Worker(client, task_queue=queue, activities=[nothing], workflows=[Flow]):
        kept = bytearray()
        while True:
            await asyncio.sleep(0.05)
            if os.path.exists("hungry"):
                kept += os.urandom(1 << 20)


asyncio.run(main())
"""
FLOW = """
from temporalio import workflow


@workflow.defn
class Flow:
    @workflow.run
    async def run(self) -> None: ...
"""

pytestmark = pytest.mark.timeout(180)


@pytest_asyncio.fixture
async def lab(reaper: Reaper, temporal_cli: Path, tmp_path: Path) -> AsyncIterator[Lab]:
    guest, scratch = tmp_path / "guest", tmp_path / "scratch"
    guest.mkdir()
    scratch.mkdir()
    (guest / "work.py").write_text(WORKER)
    (guest / "flow.py").write_text(FLOW)
    target = Target(worker=(sys.executable, "work.py"), task_queue="guest", cwd=guest)
    journal = Journal(tmp_path / "journal.jsonl", lambda _: None)
    config = StackConfig(
        reaper.run_tag, scratch, tmp_path / "evidence", temporal_cli, run_folder=tmp_path
    )
    async with Stack(StackSpec(persistent=False), target, config, journal) as stack:
        yield Lab(stack, journal, Options())
    journal.close()


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    return tmp_path / "guest"


def _entries(tmp_path: Path, event: Event) -> list[Entry]:
    return [
        entry
        for entry in read_journal(tmp_path / "journal.jsonl")
        if entry.event is event and (entry.target or "").startswith("worker-")
    ]


async def test_a_worker_that_dies_is_started_again_under_its_name(lab: Lab, tmp_path: Path) -> None:
    kept = await lab.supervisor(2)
    first, second = kept.pids

    async with lab.during(KillWorker(worker="worker-1")):
        pass
    await kept.until_complete(lab.client)

    assert first not in kept.pids
    assert second in kept.pids
    assert kept.target_of(second) == "worker-2"
    (gone,) = _entries(tmp_path, Event.EXITED)
    assert (gone.target, gone.pid, gone.exit_code) == ("worker-1", first, -9)
    ready = [entry.target for entry in _entries(tmp_path, Event.READY)]
    assert sorted(filter(None, ready)) == ["worker-1", "worker-1", "worker-2"]
    (fault,) = _entries(tmp_path, Event.FAULT)
    assert (fault.target, component_of(fault)) == ("worker-1", Component.WORKER)


async def test_a_worker_that_sleeps_is_left_alone_until_it_is_woken(lab: Lab) -> None:
    kept = await lab.supervisor(1)
    (pid,) = kept.pids

    async with lab.during(PauseWorker(worker="worker-1")):
        assert psutil.Process(pid).status() == psutil.STATUS_STOPPED
        assert kept.pids == [pid]
    await wait_until(
        lambda: psutil.Process(pid).status() != psutil.STATUS_STOPPED,
        what="it is awake",
        deadline_seconds=10,
    )

    assert kept.pids == [pid]


async def test_a_worker_without_memory_is_replaced(lab: Lab, guest: Path, tmp_path: Path) -> None:
    kept = await lab.supervisor(1)
    (pid,) = kept.pids

    async with lab.during(OutOfMemory(worker="worker-1", more_bytes=8 << 20)):
        (guest / "hungry").touch()
        await kept.until_gone([pid])
        (guest / "hungry").unlink()
    await kept.until_complete(lab.client)

    assert kept.pids != [pid]
    told = [e for e in read_journal(tmp_path / "journal.jsonl") if e.event is Event.STAGE]
    assert [e.target for e in told if e.pid == pid] == ["worker-1"]


async def test_a_worker_that_cannot_start_is_tried_again_and_again(
    lab: Lab, guest: Path, tmp_path: Path
) -> None:
    kept = await lab.supervisor(1)
    (guest / "broken").touch()
    os.kill(kept.pids[0], signal.SIGKILL)

    def exits() -> list[int | None]:
        return [entry.exit_code for entry in _entries(tmp_path, Event.EXITED)]

    await wait_until(lambda: len(exits()) > 2, what="it has failed twice", deadline_seconds=60)
    assert not await kept.is_complete(lab.client)
    (guest / "broken").unlink()
    await kept.until_complete(lab.client)

    assert exits()[:3] == [-9, 3, 3]


async def test_none_is_started_after_the_end(lab: Lab, tmp_path: Path) -> None:
    kept = await lab.supervisor(2)
    pids = list(kept.pids)

    os.kill(pids[0], signal.SIGKILL)
    await kept.discard()

    assert kept.pids == []
    started = [entry.pid for entry in _entries(tmp_path, Event.STARTED)]
    exited = [entry.pid for entry in _entries(tmp_path, Event.EXITED)]
    assert set(started) == set(exited)
    with pytest.raises(ChildError, match="no worker with the pid"):
        kept.send(pids[1], signal.SIGKILL)


async def test_a_planned_signal_is_journaled_before_it_is_sent(lab: Lab, tmp_path: Path) -> None:
    kept = await lab.supervisor(1)
    (pid,) = kept.pids

    kept.signal(pid, signal.SIGTERM)
    await kept.until_gone([pid])

    (fault,) = _entries(tmp_path, Event.FAULT)
    assert (fault.kind, fault.target, fault.pid) == ("terminate", "worker-1", pid)
    assert isinstance(kept, WorkerKeeper)


async def test_a_place_means_nothing_where_workers_have_names(lab: Lab) -> None:
    await lab.supervisor(1)

    with pytest.raises(NotHereError, match="name the worker instead"):
        await lab.begin(KillWorker(place=0))

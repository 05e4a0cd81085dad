"""What the journal says of a killed worker that is another process's child."""

from __future__ import annotations

import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from chaos.environment.supervisor import SupervisorProcess
from chaos.evidence.journal import Event, Journal, read_journal
from chaos.process.child import Child, child_environment
from chaos.process.reaper import Reaper
from chaos.process.waiting import wait_until

PARENT = """
import signal, subprocess, sys, time
sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
children = [subprocess.Popen(sleep, start_new_session=True) for _ in range(2)]
while True:
    for child in [each for each in children if each.poll() is not None]:
        children.remove(child)
        how = signal.Signals(-child.returncode).name
        print(f"(pid {child.pid}) is lost ({how})", flush=True)
    time.sleep(0.02)
"""


@pytest_asyncio.fixture
async def fleet(reaper: Reaper, tmp_path: Path) -> AsyncIterator[SupervisorProcess]:
    """A parent with two children, which says what they died of as a fleet does."""
    journal = Journal(tmp_path / "journal.jsonl", lambda _: None)
    child = Child(
        name="fleet-1",
        argv=[sys.executable, "-c", PARENT],
        environment=child_environment(reaper.run_tag, tmp_path, {}),
        folder=tmp_path,
        log=tmp_path / "fleet-1.log",
        journal=journal,
    )
    child.start()
    found = SupervisorProcess(child, workers=2, task_queue="none")
    await wait_until(lambda: len(found.pids) == 2, what="it has both", deadline_seconds=20)
    yield found
    await found.discard()
    journal.close()


async def test_a_worker_that_is_killed_is_seen_to_end(
    fleet: SupervisorProcess, tmp_path: Path
) -> None:
    killed, left = fleet.pids

    fleet.signal(killed, signal.SIGKILL)
    await fleet.until_failed_over([killed])

    told = [e for e in read_journal(tmp_path / "journal.jsonl") if e.target == fleet.target]
    assert [e.event for e in told] == [Event.FAULT, Event.SIGNALED, Event.EXITED]
    assert {e.pid for e in told} == {killed}
    assert told[-1].exit_code is None
    assert fleet.pids == [left]


async def test_one_that_sleeps_or_hangs_is_left_to_the_fleet(
    fleet: SupervisorProcess, tmp_path: Path
) -> None:
    paused, hung = fleet.pids

    fleet.signal(paused, signal.SIGSTOP)
    fleet.signal(hung, signal.SIGUSR1)
    await fleet.until_gone([hung])

    entries = read_journal(tmp_path / "journal.jsonl")
    assert [e.kind for e in entries if e.event is Event.FAULT] == ["pause", "hang"]
    assert not [e for e in entries if e.event is Event.EXITED]


async def test_a_process_that_is_gone_gets_no_signal(fleet: SupervisorProcess) -> None:
    gone = fleet.pids[0]
    fleet.signal(gone, signal.SIGKILL)
    await fleet.until_failed_over([gone])

    with pytest.raises(psutil.NoSuchProcess):
        fleet.signal(gone, signal.SIGKILL)


async def test_what_ends_with_it_tells_what_it_took(
    fleet: SupervisorProcess, tmp_path: Path
) -> None:
    workers = fleet.pids

    await fleet.discard()

    ended = [e for e in read_journal(tmp_path / "journal.jsonl") if e.event is Event.EXITED]
    assert {e.pid for e in ended} == {*workers, fleet.child.pid}
    assert {e.target for e in ended} == {fleet.child.name, fleet.target}
    assert all(e.cpu_seconds is not None for e in ended)
    assert not fleet.pids

"""Several stacks on one server, each in a namespace of its own."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio.client import WorkflowExecutionStatus

from chaos.environment import shared
from chaos.environment.server import DevFactory, TemporalServer
from chaos.environment.shared import SharingFactory
from chaos.environment.stack import NotHereError, Stack, StackConfig
from chaos.environment.temporal import SHARED_SERVER, StackSpec
from chaos.evidence.journal import Event, Journal, read_journal
from chaos.process.reaper import Reaper
from chaos.process.spawner import Spawner
from chaos.process.waiting import wait_until
from tests.chaos.video.target import VIDEO
from workflows.models import SingleVideoInput

pytestmark = pytest.mark.timeout(120)
ASKED = SingleVideoInput(character_prompt="a fox", video_prompt="the fox runs")


class Run:
    """A run's factory, and stacks of it."""

    def __init__(self, factory: SharingFactory, spawner: Spawner) -> None:
        self.factory = factory
        self._spawner = spawner

    @asynccontextmanager
    async def stack(self, name: str, spec: StackSpec = SHARED_SERVER) -> AsyncIterator[Stack]:
        evidence, scratch = self.factory.folder / name, self.factory.scratch / name
        scratch.mkdir()
        journal = Journal(evidence / "journal.jsonl", lambda _: None)
        config = StackConfig(
            run_tag=self.factory.run_tag,
            scratch=scratch,
            evidence=evidence,
            temporal_cli=None,
            temporal_factory=self.factory,
            name=name,
            spawner=self._spawner,
        )
        try:
            async with Stack(spec, VIDEO, config, journal) as stack:
                yield stack
        finally:
            journal.close()


@pytest.fixture
def run(reaper: Reaper, spawner: Spawner, temporal_cli: Path, tmp_path: Path) -> Run:
    scratch = reaper.folder / tmp_path.name
    scratch.mkdir()
    return Run(SharingFactory(DevFactory(temporal_cli), reaper.run_tag, scratch, tmp_path), spawner)


def _server_of(run: Run) -> TemporalServer:
    host, _ = run.factory._hosts[0]
    assert isinstance(host, TemporalServer)
    return host


async def test_the_same_work_on_one_server_does_not_meet(run: Run) -> None:
    async with run.factory:
        async with run.stack("one") as one, run.stack("two") as two:
            assert one.temporal.address == two.temporal.address
            for stack in (one, two):
                await stack.client.start_workflow(
                    "SingleVideo", ASKED, id=stack.own("same"), task_queue=stack.task_queue
                )
            await one.start_worker()
            await one.client.get_workflow_handle("same").result()

            untouched = await two.client.get_workflow_handle("same").describe()
            assert untouched.status is WorkflowExecutionStatus.RUNNING
            assert untouched.raw_description.pending_activities == []
            for stack in (one, two):
                with pytest.raises(NotHereError, match="dev server"):
                    _ = stack.server
        assert _server_of(run).child.is_alive

    assert not _server_of(run).child.is_alive


async def test_a_stack_that_may_not_share_gets_a_server_of_its_own(run: Run) -> None:
    async with run.factory:
        async with run.stack("own", StackSpec(persistent=False)) as own:
            assert own.server.child.is_alive
        assert run.factory._hosts == []


async def test_all_guests_are_told_when_their_server_ends_and_the_next_one_gets_another(
    run: Run, tmp_path: Path
) -> None:
    async with run.factory:
        async with run.stack("gone"):
            pass
        async with run.stack("here") as here:
            server = _server_of(run).child
            server.send(signal.SIGKILL)
            journal = tmp_path / "here" / "journal.jsonl"
            await wait_until(
                lambda: any(entry.event is Event.EXITED for entry in read_journal(journal)),
                what="the guest is told",
                deadline_seconds=10,
            )
            async with run.stack("later") as later:
                assert later.temporal.address != here.temporal.address

    exits = [entry for entry in read_journal(journal) if entry.event is Event.EXITED]
    assert (exits[0].target, exits[0].pid, exits[0].exit_code) == (server.name, server.pid, -9)
    left = read_journal(tmp_path / "gone" / "journal.jsonl")
    assert not any(entry.target == server.name for entry in left)


async def test_a_full_server_takes_nobody_more(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "GUESTS_AT_ONCE", 1)
    async with run.factory:
        async with run.stack("one") as one, run.stack("two") as two:
            assert one.temporal.address != two.temporal.address
        async with run.stack("three") as three:
            assert three.temporal.address == one.temporal.address


async def test_a_run_that_is_broken_off_leaves_no_server(run: Run) -> None:
    there = asyncio.Event()

    async def go() -> None:
        async with run.factory, run.stack("one"):
            there.set()
            await asyncio.Event().wait()

    running = asyncio.create_task(go())
    await there.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert not _server_of(run).child.is_alive

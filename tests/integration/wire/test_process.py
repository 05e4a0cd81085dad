"""The wire's process: its start, its client, its end, and a server that is restarted behind it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from chaos.process.child import child_environment
from chaos.process.reaper import Reaper
from chaos.process.waiting import wait_until
from chaos.wire.boundary import Boundary
from chaos.wire.control import Wire
from chaos.wire.journal import Closed, Opened
from chaos.wire.specs import LineSpec, Upstream, WireError
from tests.integration.wire.bed import (
    DEADLINE_SECONDS,
    QUEUE,
    Bed,
    WireProcess,
    bed_in,
    lane_of,
    start_server,
    start_wire,
)

NOBODY = "127.0.0.1:9"
BOUNDARY = Boundary.parse("activity pack completing")


@pytest.fixture
async def bed(reaper: Reaper, tmp_path: Path) -> AsyncIterator[Bed]:
    async with bed_in(tmp_path, reaper.run_tag) as bed:
        yield bed


@pytest.fixture
async def own(bed: Bed) -> WireProcess:
    """A wire of the test's own, to be ended."""
    return await start_wire(bed)


def refused(folder: Path, *options: object) -> str:
    """What it says when it refuses to start with these options."""
    result = subprocess.run(
        [sys.executable, "-m", "chaos.wire", *map(str, options)],
        env=child_environment("", folder, {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )
    assert result.returncode == 2
    return result.stderr


def test_a_control_port_in_use_is_explained(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupant:
        port = occupant.getsockname()[1]
        said = refused(tmp_path, "--control", port, "--case", tmp_path)
    assert f"Port {port} on 127.0.0.1 cannot be used (Address already in use)" in said


def test_a_missing_option_is_explained(tmp_path: Path) -> None:
    assert "--case" in refused(tmp_path, "--control", 1)


async def test_it_ends_with_its_client(own: WireProcess) -> None:
    await own.line("worker-1", NOBODY)
    await own.wire.aclose()
    assert await own.child.wait(DEADLINE_SECONDS) == 0
    assert [type(record) for record in own.records("worker-1")] == [Opened, Closed]
    assert own.child.last_lines() == "(silent)"


async def test_it_ends_in_order_when_told(own: WireProcess) -> None:
    await own.line("worker-1", NOBODY)
    waiting = asyncio.create_task((await own.wire.set(BOUNDARY)).reached())
    own.child.send(signal.SIGTERM)
    assert await own.child.wait(DEADLINE_SECONDS) == 0
    assert [type(record) for record in own.records("worker-1")] == [Opened, Closed]
    for attempt in (waiting, own.wire.set(BOUNDARY)):
        with pytest.raises(WireError, match="The wire's process has ended"):
            await attempt


async def test_what_it_saw_is_known_after_a_sigkill(own: WireProcess) -> None:
    await own.line("worker-1", NOBODY)
    await own.child.kill()
    assert [type(record) for record in own.records("worker-1")] == [Opened]
    with pytest.raises(WireError, match="The wire's process has ended"):
        await own.wire.close_line("worker-1")


@pytest.mark.parametrize("has_client", [True, False])
async def test_it_ends_with_its_parent(bed: Bed, has_client: bool) -> None:
    """Killed before its client came, and while that was there: a shell stands for the run."""
    port = bed.port()
    argv = f"'{sys.executable}' -m chaos.wire --control {port.number} --case {bed.folder} & wait"
    parent = bed.child("parent", ["sh", "-c", argv])
    await parent.start_ready(port.is_open, what="it listens", deadline_seconds=DEADLINE_SECONDS)
    (wire,) = psutil.Process(parent.pid).children()
    client = await Wire.connect(port.number) if has_client else None
    os.kill(parent.pid, signal.SIGKILL)
    await wait_until(
        lambda: not wire.is_running() or wire.status() == psutil.STATUS_ZOMBIE,
        what="the wire ends",
        deadline_seconds=DEADLINE_SECONDS,
    )
    if client:
        await client.aclose()


async def test_a_journal_that_fails_ends_it(own: WireProcess, bed: Bed) -> None:
    (bed.folder / "wire").mkdir()
    (bed.folder / "wire" / "worker-1.jsonl").symlink_to("/dev/full")
    with suppress(WireError):
        await own.line("worker-1", NOBODY)
    assert await own.child.wait(DEADLINE_SECONDS) == 1
    assert "make room for it" in own.child.last_lines()


async def test_it_has_one_client(own: WireProcess, bed: Bed) -> None:
    control = bed.ports[0].number
    with pytest.raises(WireError, match="already has a client"):
        await Wire.connect(control)
    await own.line("worker-1", NOBODY)


async def test_where_no_wire_is_nobody_connects(bed: Bed) -> None:
    with pytest.raises(WireError, match="No wire listens on"):
        await Wire.connect(bed.port().number)


async def test_a_line_that_cannot_be_opened_is_explained(own: WireProcess) -> None:
    port = await own.line("worker-1", NOBODY)
    spec = LineSpec(name="worker-1", port=port.number, upstream=Upstream(address=NOBODY))
    with pytest.raises(WireError, match="worker-1 is open"):
        await own.wire.open(spec)
    with pytest.raises(WireError, match=f"Port {port.number} on 127.0.0.1 cannot be used"):
        await own.wire.open(spec.model_copy(update={"name": "worker-2"}))
    with pytest.raises(WireError, match="No line worker-2 is open"):
        await own.wire.close_line("worker-2")
    await own.wire.close_line("worker-1")
    await own.wire.open(spec)


async def test_a_worker_outlives_a_restart_of_the_server_behind_its_line(
    own: WireProcess, bed: Bed, temporal_cli: Path
) -> None:
    server = await start_server(bed, temporal_cli, persistent=True)
    async with lane_of(own, server.address, is_rewritten=False) as lane:
        start = lane.client.start_workflow
        assert await (await start("Packing", "A", id="a", task_queue=QUEUE)).result() == "A packed"
        await server.child.kill()
        await wait_until(
            lambda: any(call.status == "UNAVAILABLE" for call in own.calls(lane.line)),
            what="the worker knows",
            deadline_seconds=DEADLINE_SECONDS,
        )
        await server.start()
        again = (await server.connect()).start_workflow
        handle = await again("Packing", "B", id="b", task_queue=QUEUE)
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert await handle.result() == "B packed"


async def test_a_reply_of_more_than_4_mb_passes(
    own: WireProcess, bed: Bed, temporal_cli: Path
) -> None:
    """A workflow's history, as a worker that has not seen it gets it."""
    server = await start_server(bed, temporal_cli)
    async with lane_of(own, server.address, is_rewritten=False) as lane:
        handle = await lane.client.start_workflow("Counter", id="c", task_queue=QUEUE)
        for _ in range(4):
            await handle.execute_update("leave", "x" * 1_500_000)
        await lane.worker.kill()
        await lane.start_worker()
        assert await handle.execute_update("leave", "one more") == 5

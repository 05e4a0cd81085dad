"""What is done where a worker cannot be forked."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from workflows.fleet import spawner as spawner_module
from workflows.fleet.fork import Fork
from workflows.fleet.reports import SENDER_VARIABLE
from workflows.fleet.spawner import WORKER_ARGV, Spawner, SpawnerError, main
from workflows.fleet.worker_process import WorkerProcess, ways_to_start


async def test_the_next_way_has_a_name_and_a_pipe_of_its_own() -> None:
    """The first one may have come to be all the same, and must not be taken for the other."""
    names, pipes = [], []

    async def fork(environment: Mapping[str, str], reports: int) -> Any:
        names.append(environment[SENDER_VARIABLE])
        pipes.append(os.fstat(reports).st_ino)
        raise SpawnerError("nobody knows")

    async def execute(environment: Mapping[str, str], reports: int) -> Any:
        names.append(environment[SENDER_VARIABLE])
        pipes.append(os.fstat(reports).st_ino)
        return await asyncio.create_subprocess_exec("true", stdout=asyncio.subprocess.PIPE)

    worker = await WorkerProcess.start(1, (fork, execute), {}, lambda _: None)
    await worker.ended()

    assert worker.sender == names[1] != names[0]
    assert pipes[0] != pipes[1]


def test_only_the_usual_worker_is_forked() -> None:
    spawner = Spawner()

    assert len(ways_to_start(list(WORKER_ARGV), spawner)) == 2
    assert len(ways_to_start(["nice", *WORKER_ARGV], spawner)) == 1


def test_a_process_with_another_thread_is_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("it was forked"))
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        Spawner().begin()
    finally:
        done.set()
        other.join()


def test_a_fork_is_ended_and_waited_for_as_any_child() -> None:
    made = Fork(os.posix_spawn("/bin/sleep", ["sleep", "60"], {}))
    assert made.poll() is None

    made.kill()

    assert made.wait() == made.poll() == -signal.SIGKILL
    made.kill()  # nobody is there any more


def test_a_fork_that_somebody_else_has_reaped_is_gone() -> None:
    made = Fork(os.posix_spawn("/bin/true", ["true"], {}))
    os.waitpid(made.pid, 0)

    assert made.poll() == made.wait() == 255


async def test_nothing_is_started_after_the_end() -> None:
    spawner = Spawner()
    await spawner.close()

    with pytest.raises(SpawnerError, match="no more workers can be started"):
        await spawner.start({}, ())


async def test_a_program_that_does_not_serve_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    spawner = Spawner()

    with pytest.raises(SpawnerError, match="the spawner does not answer"):
        await spawner.start({}, ())
    await spawner.close()


def test_code_that_has_changed_on_disk_is_not_mixed_with_what_was_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "task").touch()
    builds = iter(["old", "old", "new"])
    worker = SimpleNamespace(build_id=lambda: next(builds))
    monkeypatch.setattr(spawner_module, "import_module", lambda _: worker)
    monkeypatch.setattr(spawner_module, "_fork_twice", lambda *_: "4711")
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(gc, "freeze", lambda: None)
    monkeypatch.setattr(spawner_module, "Path", lambda _: tmp_path)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        for _ in range(2):
            ours.send(json.dumps({}).encode())
        ours.shutdown(socket.SHUT_WR)

        assert main(theirs.detach()) == 0
        assert ours.recv(1000) == b"4711"
        assert ours.recv(1000).startswith(b"the code on disk has changed")

"""A limit to the memory of a real process: the kernel's, where that can be had, and a watcher's."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from chaos.environment import memory
from chaos.environment.memory import KERNEL, WATCHER, KernelLimit, Limit, WatchedLimit, limit_memory

MORE_BYTES = 8_000_000
SHELL_SAYS = 128
"""What a shell adds to the number of the signal that ended a program."""
HUNGRY = """
import sys
had = bytearray(40_000_000)
print("ready", flush=True)
taken = [bytearray(int(size)) for size in sys.stdin]
print("full", flush=True)
sys.stdin.read()
"""
Process = subprocess.Popen[str]


@pytest.fixture
def hungry() -> Iterator[Process]:
    """A process that takes as much memory as each line of its input says."""
    with _started(sys.executable, "-c", HUNGRY) as process:
        yield process


@pytest.fixture
def starter() -> Iterator[Process]:
    """One that takes nothing itself, as `npm start`: it waits for what it has started."""
    with _started("sh", "-c", f"{shlex.join([sys.executable, '-c', HUNGRY])}; exit $?") as process:
        yield process


@contextmanager
def _started(*argv: str) -> Iterator[Process]:
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) as process:
        assert _says(process) == "ready\n"
        yield process
        process.kill()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run that goes on."""
    folder = tmp_path / f"chaos-run-{tmp_path.name}"
    folder.mkdir()
    return folder


def _says(process: Process) -> str:
    assert process.stdout
    return process.stdout.readline()


def _feed(process: Process, size_bytes: int) -> None:
    assert process.stdin
    process.stdin.write(f"{size_bytes}\n")
    process.stdin.close()


def _kernel_limit(process: Process, run: Path) -> KernelLimit:
    limit = limit_memory(psutil.Process(process.pid), MORE_BYTES, run)
    if not isinstance(limit, KernelLimit):
        limit.lift()
        pytest.skip("no memory cgroup can be made here")
    return limit


def _watched_limit(process: Process, run: Path) -> WatchedLimit:
    del run
    return WatchedLimit.on(psutil.Process(process.pid), MORE_BYTES)


LIMITS = pytest.mark.parametrize(
    ("put_on", "kind"), [(_kernel_limit, KERNEL), (_watched_limit, WATCHER)]
)
PutOn = Callable[[Process, Path], Limit]


@LIMITS
def test_who_wants_too_much_is_killed(put_on: PutOn, kind: str, hungry: Process, run: Path) -> None:
    limit = put_on(hungry, run)
    assert limit.killed() is None
    _feed(hungry, 400_000_000)
    try:
        assert hungry.wait(10) == -signal.SIGKILL
        assert limit.killed()
        assert limit.kind == kind
    finally:
        limit.lift()


@LIMITS
def test_what_a_process_has_started_counts_as_well(
    put_on: PutOn, kind: str, starter: Process, run: Path
) -> None:
    limit = put_on(starter, run)
    assert limit.kind == kind
    _feed(starter, 400_000_000)
    try:
        assert starter.wait(10) == SHELL_SAYS + signal.SIGKILL
        assert limit.killed()
    finally:
        limit.lift()


@LIMITS
def test_who_is_content_lives_on_when_the_limit_is_lifted(
    put_on: PutOn, kind: str, hungry: Process, run: Path
) -> None:
    limit = put_on(hungry, run)
    assert limit.kind == kind
    limit.lift()
    assert limit.killed() is None if kind == WATCHER else not _cgroups(run)
    _feed(hungry, 40_000_000)
    assert _says(hungry) == "full\n"


def test_what_a_run_has_left_goes_with_the_next_one(hungry: Process, run: Path) -> None:
    gone = run.with_name("chaos-run-that-is-gone")
    limit = _kernel_limit(hungry, run)
    stale = limit.hierarchy.root / f"{gone.name}-1"
    stale.mkdir()
    limit.lift()
    limit = _kernel_limit(hungry, run)
    limit.lift()

    assert not stale.exists()
    assert not _cgroups(run)


def test_what_a_living_run_has_stays_though_others_do_not_see_its_folder(
    hungry: Process, run: Path, tmp_path: Path
) -> None:
    limit = _kernel_limit(hungry, run)
    hungry.kill()
    hungry.wait()

    memory._remove_stale(limit.hierarchy.root, tmp_path / "elsewhere" / "chaos-run-2-deadbeef")

    assert limit.folder.exists()
    assert limit.killed() is None
    limit.lift()
    assert not _cgroups(run)


def test_where_no_cgroup_can_be_made_a_watcher_does_it(
    hungry: Process, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "HIERARCHIES", ())

    limit = limit_memory(psutil.Process(hungry.pid), MORE_BYTES, run)
    limit.lift()

    assert limit.kind == WATCHER


def _cgroups(run: Path) -> list[Path]:
    return [
        folder
        for hierarchy in memory.HIERARCHIES
        for folder in hierarchy.root.glob(f"{run.name}-*")
    ]

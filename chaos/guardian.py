"""A small process that outlives the run for a moment and leaves nothing of it behind.

`python -m chaos.guardian MARK`: waits until its standard input ends, which happens when
the run's process is gone, however it went; then it ends all processes that carry the run's
mark in their environment and removes the run's temporary folder. Children of children inherit
the mark, and so does one that was started in the very moment of the kill.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

import psutil

MARK = "CHAOS_RUN_FOLDER"
"""The environment variable that all processes of a run carry."""

_PREFIX = "chaos-run-"
_QUIET_SECONDS = 0.2
_PATIENCE_SECONDS = 30.0
_CGROUPS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory"))
_REMOVE = 0
"""IPC_RMID of the C library."""


class Guard:
    """A run's temporary folder, its guardian, and its mark. Use it by `with`.

    The mark is the folder's path. The folder stays locked while the run's process lives; a lock
    ends with its process, whatever happens to clocks and process ids.
    """

    def __init__(self) -> None:
        name = f"{_PREFIX}{os.getpid()}-{uuid4().hex[:8]}"
        self.folder = Path(tempfile.gettempdir()).resolve() / name
        self.mark = str(self.folder)

    def __enter__(self) -> Self:
        sweep_stale()
        # Locked before it gets its name, or another run could take it for an abandoned one.
        nameless = self.folder.with_name(f".{self.folder.name}")
        nameless.mkdir(mode=0o700)
        # PostgreSQL, which runs as another user where the run is root's, must get through.
        nameless.chmod(0o711)
        self._lock = os.open(nameless, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        nameless.rename(self.folder)
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "chaos.guardian", self.mark],
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=_PATIENCE_SECONDS)
        os.close(self._lock)


def sweep(mark: str) -> None:
    """Kill all processes that carry the mark, until none has been seen for a moment."""
    last_seen = time.monotonic()
    end = last_seen + _PATIENCE_SECONDS
    while time.monotonic() - last_seen < _QUIET_SECONDS and time.monotonic() < end:
        for process, found in marked_processes():
            if found == mark:
                process.kill()
                last_seen = time.monotonic()
        time.sleep(_QUIET_SECONDS / 10)


def sweep_stale() -> None:
    """Clear up after runs whose process and guardian are both gone."""
    for mark in {mark for _, mark in marked_processes()}:
        if not _is_alive(Path(mark)):
            sweep(mark)
    for folder in Path(tempfile.gettempdir()).resolve().glob(f"{_PREFIX}*"):
        if not _is_alive(folder):
            _remove(folder)


def marked_processes() -> list[tuple[psutil.Process, str]]:
    """The processes of all runs, each with its run's mark."""
    found = []
    for process in psutil.process_iter():
        try:
            mark = _mark_of(process)
        except (psutil.Error, OSError):
            continue
        if Path(mark).name.startswith(_PREFIX) and process.pid != os.getpid():
            found.append((process, mark))
    return found


def _mark_of(process: psutil.Process) -> str:
    environment = process.environ()
    if environment:
        return environment.get(MARK, "")
    # PostgreSQL's children write their titles over their environment: they are told by the folder
    # that they work in. A user's shell in that folder has an environment, and is left alone.
    folder = Path(process.cwd())
    return next((str(f) for f in (folder, *folder.parents) if f.name.startswith(_PREFIX)), "")


def _drop_shared_memory(folder: Path) -> None:
    """Remove what a killed PostgreSQL below a folder leaves in the kernel, which nobody else does.

    The last field of its lock file is the number of its segment of shared memory.
    """
    for file in folder.rglob("postmaster.pid"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            number = int(file.read_text().splitlines()[6].split()[-1])
            ctypes.CDLL(None).shmctl(number, _REMOVE, None)


def _drop_cgroups(folder: Path) -> None:
    """Remove the memory cgroups of a run, which has none of its processes in them any more.

    `chaos.cluster.memory` names them by the run's folder.
    """
    for root in _CGROUPS:
        for left in root.glob(f"{folder.name}-*"):
            with contextlib.suppress(OSError):
                left.rmdir()


def _remove(folder: Path) -> None:
    _drop_shared_memory(folder)
    _drop_cgroups(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _is_alive(folder: Path) -> bool:
    """Whether the run with this folder goes on: then nobody else can lock it."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # another user's
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def main(mark: str) -> None:
    """Wait for the end of the run, then clear up."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    sys.stdin.buffer.read()
    sweep(mark)
    _remove(Path(mark))


if __name__ == "__main__":
    main(sys.argv[1])

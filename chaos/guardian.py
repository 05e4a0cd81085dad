"""A small process that outlives the run for a moment and leaves nothing of it behind.

`python -m chaos.guardian MARK FOLDER`: waits until its standard input ends, which happens when
the run's process is gone, however it went; then it ends all processes that carry the run's
mark in their environment and removes the run's temporary folder. Children of children inherit
the mark, and so does one that was started in the very moment of the kill.
"""

from __future__ import annotations

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

MARK = "CHAOS_RUN"
"""The environment variable that all processes of a run carry."""

_PREFIX = "chaos-run-"
_QUIET_SECONDS = 0.2
_PATIENCE_SECONDS = 30.0


class Guard:
    """A run's mark, its temporary folder and its guardian. Use it by `with`."""

    def __init__(self) -> None:
        me = psutil.Process()
        self.mark = f"{me.pid}-{me.create_time():.2f}-{uuid4().hex[:8]}"
        self.folder = Path(tempfile.gettempdir()) / f"{_PREFIX}{self.mark}"

    def __enter__(self) -> Self:
        sweep_stale()
        self.folder.mkdir(mode=0o700)
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "chaos.guardian", self.mark, str(self.folder)],
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


def sweep(mark: str) -> None:
    """Kill all processes that carry the mark, until none has been seen for a moment."""
    last_seen = time.monotonic()
    end = last_seen + _PATIENCE_SECONDS
    while time.monotonic() - last_seen < _QUIET_SECONDS and time.monotonic() < end:
        for process in _marked():
            if process.info["mark"] == mark:
                process.kill()
                last_seen = time.monotonic()
        time.sleep(_QUIET_SECONDS / 10)


def sweep_stale() -> None:
    """Clear up after runs whose process and guardian are both gone."""
    for process in _marked():
        if not _is_alive(process.info["mark"]):
            sweep(process.info["mark"])
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if not _is_alive(folder.name.removeprefix(_PREFIX)):
            shutil.rmtree(folder, ignore_errors=True)


def _marked() -> list[psutil.Process]:
    """The processes of any run, each with its `info["mark"]`."""
    found = []
    for process in psutil.process_iter():
        try:
            mark = process.environ().get(MARK)
        except (psutil.Error, OSError):
            continue
        if mark and process.pid != os.getpid():
            process.info = {"mark": mark}
            found.append(process)
    return found


def _is_alive(mark: str) -> bool:
    """Whether the process that made the mark still runs; a pid alone could be another's."""
    try:
        pid, created, _ = mark.split("-")
        return f"{psutil.Process(int(pid)).create_time():.2f}" == created
    except (ValueError, psutil.Error):
        return False


def main(mark: str, folder: Path) -> None:
    """Wait for the end of the run, then clear up."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    sys.stdin.buffer.read()
    sweep(mark)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

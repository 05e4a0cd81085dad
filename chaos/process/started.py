"""A process that was started, and how it ended, which the kernel tells only its parent."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class End:
    """`code` is negative where a signal ended it. `cpu_seconds` were used by it and by those of its
    own children that it had waited for.
    """

    code: int
    cpu_seconds: float


def reap(pid: int, options: int = 0) -> tuple[int, End]:
    """Wait for a child as `os.waitpid` does. Raises ChildProcessError where there is none."""
    ended, status, usage = os.wait4(pid, options)
    return ended, End(os.waitstatus_to_exitcode(status), round(usage.ru_utime + usage.ru_stime, 3))


def group_of(leader: int) -> list[int]:
    """The processes of the group that `leader` leads, or has led, and that have not ended."""
    return [pid for pid in psutil.pids() if _is_in_group(pid, leader)]


def _is_in_group(pid: int, leader: int) -> bool:
    try:
        return os.getpgid(pid) == leader and (psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


class Started:
    """A process. Its parent sets its `end`; None if the parent died before it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.end: Future[End | None] = Future()
        self._process: psutil.Process | None = None
        with contextlib.suppress(psutil.NoSuchProcess):
            # It knows the process from whoever gets its number later.
            self._process = psutil.Process(pid)

    @property
    def _was_reaped(self) -> bool:
        return self.end.done() and self.end.result() is not None

    def send_signal(self, number: signal.Signals) -> None:
        """Raises ProcessLookupError if it has ended."""
        if self._was_reaped or self._process is None:
            raise ProcessLookupError(self.pid)
        try:
            self._process.send_signal(number)
        except psutil.NoSuchProcess:
            raise ProcessLookupError(self.pid) from None

    def send_to_group(self, number: signal.Signals) -> None:
        """The same for the group that it leads, some of which may outlive it."""
        if self._was_reaped and psutil.pid_exists(self.pid):
            raise ProcessLookupError(self.pid)  # that number is another's now
        strays = _strays(self.pid)
        if group_of(self.pid):
            os.killpg(self.pid, number)
        else:  # it is gone, or has just begun and leads none yet
            self.send_signal(number)
        for stray in strays:
            with contextlib.suppress(psutil.NoSuchProcess):
                stray.send_signal(number)

    def wait(self) -> End | None:
        """Wait for its end; None if its exit code is not known."""
        end = self.end.result()
        if end is None and self._process is not None:
            self._process.wait()
        return end


def _strays(leader: int) -> Sequence[psutil.Process]:
    """The descendants of a group's leader that have left the group, as by `setsid`."""
    with contextlib.suppress(psutil.NoSuchProcess):
        found = psutil.Process(leader).children(recursive=True)
        return [each for each in found if _group(each.pid) not in {None, leader}]
    return ()


def _group(pid: int) -> int | None:
    with contextlib.suppress(ProcessLookupError):
        return os.getpgid(pid)
    return None


class Executed(Started):
    """A child of this process; only this object waits for it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__(process.pid)
        self._popen = process
        self._turn = threading.Lock()

    def wait(self) -> End | None:
        """Wait for its end."""
        with self._turn:
            if not self.end.done():
                self._reap()
        return self.end.result()

    def _reap(self) -> None:
        end = None
        with contextlib.suppress(ChildProcessError):  # somebody waited for it all the same
            _, end = reap(self.pid)
        self._popen.returncode = end.code if end else 255  # it would wait by itself otherwise
        self.end.set_result(end)

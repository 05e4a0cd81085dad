"""A fork of this process, to be ended and waited for as any other child."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import Protocol


class ChildProcess(Protocol):
    """A child of this process; `subprocess.Popen` is one."""

    def poll(self) -> int | None:
        """What it ended with; None while it is there."""

    def kill(self) -> None:
        """End it."""

    def wait(self) -> int:
        """Wait for its end."""


@dataclass
class Fork:
    """A fork of this process."""

    pid: int
    _code: int | None = None

    def poll(self) -> int | None:
        """What it ended with; None while it is there."""
        if self._code is None:
            self._reap(os.WNOHANG)
        return self._code

    def kill(self) -> None:
        """End it, unless it is gone."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Wait for its end."""
        while self._code is None:
            self._reap(0)
        return self._code

    def _reap(self, options: int) -> None:
        try:
            ended, status = os.waitpid(self.pid, options)
        except ChildProcessError:  # somebody else has reaped it
            self._code = 255
        else:
            self._code = os.waitstatus_to_exitcode(status) if ended else None

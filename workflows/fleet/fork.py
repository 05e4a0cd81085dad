"""A fork of this process, with the methods of `subprocess.Popen` that are needed here."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass


@dataclass
class Fork:
    """A child of this process that was forked from it."""

    pid: int
    _code: int | None = None

    def poll(self) -> int | None:
        """Its exit code as `subprocess.Popen` has it, or None while it runs."""
        if self._code is None:
            self._reap(os.WNOHANG)
        return self._code

    def kill(self) -> None:
        """Send SIGKILL, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Wait until it has ended; its exit code."""
        while self._code is None:
            self._reap(0)
        return self._code

    def _reap(self, options: int) -> None:
        try:
            ended, status = os.waitpid(self.pid, options)
        except ChildProcessError:  # other code has reaped it
            self._code = 255
        else:
            self._code = os.waitstatus_to_exitcode(status) if ended else None

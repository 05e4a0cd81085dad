"""An event loop in the test's hand: time stands still until the test moves it."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from dataclasses import dataclass

_QUIET_SECONDS = 0.003
"""After so long without anything to read or write, there is nothing on its way in the kernel."""


@dataclass
class Planned:
    """A callback and its time."""

    when: float
    callback: Callable[[], object]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


class HandLoop:
    """What lines and connections need of asyncio's loop."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.readers: dict[socket.socket, Callable[[], object]] = {}
        self.writers: dict[socket.socket, Callable[[], object]] = {}
        self._planned: list[Planned] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], object], /) -> Planned:
        self._planned.append(Planned(when, callback))
        return self._planned[-1]

    def add_reader(self, fd: socket.socket, callback: Callable[[], object], /) -> None:
        self.readers[fd] = callback

    def remove_reader(self, fd: socket.socket, /) -> None:
        del self.readers[fd]

    def add_writer(self, fd: socket.socket, callback: Callable[[], object], /) -> None:
        self.writers[fd] = callback

    def remove_writer(self, fd: socket.socket, /) -> None:
        del self.writers[fd]

    def settle(self, quiet_seconds: float = _QUIET_SECONDS) -> None:
        """Call back until nothing more happens by itself."""
        while self._fire() or self._poll(quiet_seconds):
            pass

    def pass_time(self, seconds: float) -> None:
        """Move the clock from one planned time to the next."""
        end = self.now + seconds
        self.settle()
        while (due := self._next()) is not None and due <= end:
            self.now = max(self.now, due)
            self.settle(quiet_seconds=0)
        self.now = end
        self.settle()

    def _next(self) -> float | None:
        return min((p.when for p in self._planned if not p.is_cancelled), default=None)

    def _fire(self) -> bool:
        self._planned = [p for p in self._planned if not p.is_cancelled]
        for planned in self._planned:
            if planned.when <= self.now:
                planned.is_cancelled = True
                planned.callback()
                return True
        return False

    def _poll(self, quiet_seconds: float) -> bool:
        readable, writable, _ = select.select(
            list(self.readers), list(self.writers), [], quiet_seconds
        )
        calls = [self.readers[s] for s in readable] + [self.writers[s] for s in writable]
        if calls:
            calls[0]()
        return bool(calls)

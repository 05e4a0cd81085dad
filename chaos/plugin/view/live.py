"""The live view: one table of all scenarios, drawn again as things change, gone in the end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import ConsoleDimensions, RenderableType

from chaos.experiment.events import Planned, TimedEvent
from chaos.plugin.view.bills import Bills
from chaos.plugin.view.frame import frame
from chaos.plugin.view.state import State, after

REDRAW_SECONDS = 0.25
READ_SECONDS = 1.0
LARGEST_SHARE = 0.02
"""Of a core: the rests between frames are as long as that takes."""


class Canvas(Protocol):
    """What frames are drawn on: a terminal."""

    @property
    def size(self) -> ConsoleDimensions:
        """Columns and lines, which may change at any time."""

    def draw(self, frame: RenderableType) -> None:
        """Draw it over the last one."""

    def erase(self) -> None:
        """Erase what was drawn."""


@dataclass
class LiveView:
    """Draws by the thread that waits, so that it is never in the way of what pytest writes."""

    terminal: Canvas
    _state: State = field(default_factory=State, init=False)
    _bills: Bills = field(default_factory=lambda: Bills(()), init=False)
    _drawn: object = field(default=None, init=False)
    _next_seconds: float = field(default=0.0, init=False)
    _read_seconds: float = field(default=-READ_SECONDS, init=False)

    def handle(self, timed: TimedEvent) -> None:
        """Take note of what has happened."""
        if isinstance(timed.event, Planned):
            self._bills = Bills(timed.event.cases)
        self._state = after(self._state, timed)

    def refresh(self, now_seconds: float) -> None:
        """Draw, unless that was just done or nothing would look different."""
        if now_seconds < self._next_seconds:
            return
        began = time.thread_time()
        if now_seconds >= self._read_seconds + READ_SECONDS:
            self._read_seconds = now_seconds
            for billed in self._bills.read():
                self.handle(TimedEvent(now_seconds, billed))
        size = self.terminal.size
        shown = (self._state, int(now_seconds), size)
        if shown != self._drawn:
            self._drawn = shown
            self.terminal.draw(frame(self._state, now_seconds, size.width, size.height))
            cost_seconds = time.thread_time() - began
            self._next_seconds = now_seconds + max(REDRAW_SECONDS, cost_seconds / LARGEST_SHARE)

    def leave(self) -> None:
        """Erase it."""
        self.terminal.erase()
        self._drawn, self._next_seconds = None, 0.0

"""The terminal that pytest writes to, though it captures output; and whether it can be drawn on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import UnsupportedOperation
from typing import TextIO

from rich.console import Console, ConsoleDimensions, RenderableType
from rich.control import Control
from rich.live import Live
from rich.text import Text

from chaos.plugin.view.layout import SMALLEST

_USUAL_SIZE = (80, 24)
_NO = {"", "0", "false", "no"}


def can_be_drawn_on(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether somebody sees it, and it understands how to move its cursor."""
    if environment.get("CI", "").lower() not in _NO or environment.get("TERM", "dumb") == "dumb":
        return False
    try:
        columns, lines = size_of(stream.fileno())
    except (OSError, UnsupportedOperation):
        return False
    return stream.isatty() and columns >= SMALLEST[0] and lines >= SMALLEST[1]


def size_of(descriptor: int) -> ConsoleDimensions:
    """Columns and lines; the usual ones of a terminal that does not know. Raises OSError."""
    size = os.get_terminal_size(descriptor)
    return ConsoleDimensions(size.columns or _USUAL_SIZE[0], size.lines or _USUAL_SIZE[1])


class _CursorStays(Console):
    """Its cursor is never hidden: a run that is killed could not show it again."""

    def show_cursor(self, show: bool = True) -> bool:
        """Do nothing."""
        del show
        return False


@dataclass
class Terminal:
    """Draws a frame below pytest's own line, over the frame before; erases it without a trace.

    `descriptor` stays the terminal's whatever is captured; whoever gave it closes it. `column`
    tells how far pytest's line has come. A terminal that is gone is no reason to end a run.
    """

    descriptor: int
    has_colours: bool
    column: Callable[[], int]
    _live: Live | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._console = _CursorStays(
            file=os.fdopen(self.descriptor, "w", encoding="utf-8", errors="replace", closefd=False),
            force_terminal=True,
            force_interactive=True,
            no_color=not self.has_colours,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._console.size = self.size

    @property
    def size(self) -> ConsoleDimensions:
        """Columns and lines, which may change at any time."""
        try:
            return size_of(self.descriptor)
        except OSError:
            return ConsoleDimensions(*_USUAL_SIZE)

    def draw(self, frame: RenderableType) -> None:
        """Draw it over the last one."""
        with suppress(OSError):
            self._fit()
            if self._live is None:
                self._live = self._begin()
            self._live.update(frame, refresh=True)

    def _fit(self) -> None:
        """Where the terminal has become narrower, nobody knows how it broke the lines."""
        size = self.size
        if self._live and size.width < self._console.width:
            _end(self._live)
            self._live = None
            self._console.clear()
        self._console.size = size

    def _begin(self) -> Live:
        if self.column():
            self._console.line()
        live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        live.start()
        return live

    def erase(self) -> None:
        """Leave the cursor where it was before the first frame."""
        live, self._live = self._live, None
        if live is None:
            return
        with suppress(OSError):
            _end(live)
            # A line that was full to the edge goes on where the cursor is now.
            if column := self.column() % self.size.width:
                self._console.control(Control.move_to_column(column, y=-1))


def _end(live: Live) -> None:
    """Rich ends with one more newline: a full terminal would scroll, so the frame goes first."""
    live.update(Text(""), refresh=True)
    live.stop()

"""The output of commands: lines on standard output, errors on standard error. Text of others is
made harmless here.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Self

from chaos.evidence.text import line, plain
from chaos.process.streams import give_up

_GAP = "  "


class OutputError(Exception):
    """Standard output cannot be written to. One sentence says why."""

    @classmethod
    def of(cls, error: OSError) -> Self:
        """From the system's error."""
        return cls(f"standard output cannot be written to: {error.strerror}.")


def say(text: str = "") -> None:
    """Print one line on standard output, at once, whatever is in the text."""
    put(line(text))


def say_if_read(text: str) -> None:
    """Print a line of progress. A reader that has gone is no reason to end."""
    try:
        say(text)
    except (OSError, OutputError):
        give_up(sys.stdout)


def say_all(texts: Iterable[str]) -> None:
    """Print each on a line of its own."""
    for text in texts:
        say(text)


def put(text: str, *, end: str = "\n") -> None:
    """Print finished, harmless text: JSON, Markdown, a script. Raises OutputError, and
    BrokenPipeError if the reader has gone.
    """
    try:
        sys.stdout.write(f"{text}{end}")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError.of(error) from None


def ask(question: str) -> None:
    """Ask a question; the answer is typed on the same line. Raises as `put` does."""
    put(question, end="")


def width() -> int | None:
    """The columns of the terminal; None without one, when lines may have any length."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def columns(rows: Sequence[Sequence[str]], indent: str = "") -> list[str]:
    """A line for each row, with aligned cells; on a terminal, cut to its width."""
    cells = [[text if text.strip() == "" else _aside(text) for text in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    shown = [
        indent + _GAP.join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    return [cut(each) for each in shown]


def cut(text: str) -> str:
    """The line, cut where a terminal is too narrow for it."""
    most = width()
    return text if most is None or len(text) <= most else f"{text[: most - 1]}…"


def _aside(text: str) -> str:
    """A right-aligned cell."""
    return f"{text[: len(text) - len(text.lstrip(' '))]}{plain(text)}"

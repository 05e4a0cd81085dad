"""How commands speak: lines on standard output, complaints on standard error."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

_GAP = "  "


def say(line: str = "") -> None:
    """A line on standard output, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def complain(sentence: str) -> None:
    """A sentence on standard error: what happened, and what to do."""
    sys.stderr.write(f"{sentence}\n")


def width() -> int | None:
    """The columns of the terminal; None where there is none and lines may be of any length."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def columns(rows: Sequence[Sequence[str]], indent: str = "") -> list[str]:
    """A line for each row, its cells one below the other; on a terminal, cut to fit into it."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        indent + _GAP.join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return [cut(line) for line in lines]


def cut(line: str) -> str:
    """The line, its end left out where a terminal is too narrow for it."""
    most = width()
    return line if most is None or len(line) <= most else f"{line[: most - 1]}…"

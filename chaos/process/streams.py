"""The standard streams of a program, also if its caller has closed or filled one."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TextIO

from chaos.evidence.text import lines


def repair_streams() -> None:
    """Replace a closed stream by the null device, and never fail to encode. Otherwise the next file
    that is opened gets the closed one's number, and prints go there.
    """
    _fill(0, os.O_RDONLY)
    _fill(1, os.O_WRONLY)
    _fill(2, os.O_WRONLY)
    # Python has none for a descriptor that was closed when it began.
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - a descriptor, and it stays
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - a descriptor, and it stays
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - a descriptor, and it stays
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def complain(sentence: str) -> None:
    """Print what happened, and what to do, on standard error, if that can be written."""
    try:
        sys.stderr.write("".join(f"{each}\n" for each in lines(sentence)))
        sys.stderr.flush()
    except OSError:
        give_up(sys.stderr)


def give_up(stream: TextIO) -> None:
    """Discard what a stream could not write: Python would report it again at its end."""
    with suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)


def _fill(number: int, flags: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, flags)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)

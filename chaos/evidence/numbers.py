"""Numbers on a command line; Python's own parsers also accept underscores and other scripts."""

from __future__ import annotations

import math
import re
from argparse import ArgumentTypeError
from collections.abc import Callable

_WHOLE = re.compile(r"[0-9]{1,18}")
_DECIMAL = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?|\.[0-9]{1,18}")
_MOST_SHOWN = 40


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """A parser of a whole number from `least` to `most`. It raises ArgumentTypeError."""
    bounds = f"from {least}" if most is None else f"from {least} to {most}"

    def read(text: str) -> int:
        number = int(text) if _WHOLE.fullmatch(text) else -1
        if number < least or (most is not None and number > most):
            raise ArgumentTypeError(f"must be a number {bounds}, not {quoted(text)}")
        return number

    return read


def port(text: str) -> int:
    """A port. Raises ArgumentTypeError."""
    number = int(text) if _WHOLE.fullmatch(text) else 0
    if not 1 <= number <= 65_535:
        raise ArgumentTypeError(f"must be a port from 1 to 65535, not {quoted(text)}")
    return number


def minutes(text: str) -> float:
    """A time above 0. Raises ArgumentTypeError."""
    found = number(text)
    if not found > 0:
        raise ArgumentTypeError(f"must be a number above 0, not {quoted(text)}")
    return found


def is_whole(text: str) -> bool:
    """Whether it is only digits, and not too many of them."""
    return _WHOLE.fullmatch(text) is not None


def number(text: str) -> float:
    """A number such as 1.5; NaN if it is not one, which is within no bounds."""
    return float(text) if _DECIMAL.fullmatch(text) else math.nan


def quoted(text: str) -> str:
    """The given text, for a message."""
    return repr(text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…")

"""Text that others wrote, made safe to show: it never controls the medium that shows it.

Names, failures and log lines come from the system under test and from users. Each medium has one
way to make them harmless, and all of these use `plain`: here a terminal's (`line`, `lines`,
`cell`), and for the others `chaos/report/markdown.py`, `junit.py` and `html/page.py` beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

LONGEST = 2_000
"""Of one text, in characters."""

_INDENT = "  "

_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0e\uffa0\U000e0100-\U000e01ef]"
)
"""Invisible characters that Python calls printable."""


def plain(text: str, most: int = LONGEST) -> str:
    """On one line, with spaces for what is invisible; too long a text is cut, with a mark."""
    return _cut(" ".join(_visible(text).split()), most)


def line(text: str, most: int = LONGEST) -> str:
    """One line for a terminal. Unlike `plain` it keeps its spaces, which make columns."""
    return _cut(_visible(text).rstrip(), most)


def lines(text: str) -> Iterator[str]:
    """Lines for a terminal: all but the first are indented, so that none looks like ours."""
    first, *others = text.splitlines() or [""]
    yield line(first)
    for other in map(line, others):
        yield other if other.startswith(_INDENT) or not other else f"{_INDENT}{other}"


def cell(text: str) -> str:
    """A cell of a table on a terminal. No text draws a column, and the table stays Markdown."""
    return plain(text).replace("|", r"\|")


def scrubbed(text: str, secrets: Iterable[str]) -> str:
    """Text without these secrets, for a file that is kept."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "[secret]")
    return text


def writable(text: str) -> str:
    """Text that a file can hold. A file's name may have bytes that are no text, which Python keeps
    as halves of characters.
    """
    return text.encode("utf-8", "backslashreplace").decode()


def _visible(text: str) -> str:
    """Without control and format characters, halves of characters, and those of no meaning yet."""
    seen = _BLANK.sub(" ", text)
    return seen if seen.isprintable() else "".join(c if c.isprintable() else " " for c in seen)


def _cut(text: str, most: int) -> str:
    rest = len(text) - most
    return f"{text[:most]} … ({rest} more characters)" if rest > 0 else text

"""Markdown as GitHub shows it, from text that may hold anything."""

from __future__ import annotations

import re
from collections.abc import Sequence

_MARKS = re.compile(r"[\\`*\[\]<>|~&$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""What has a meaning within a line. An underscore has none between letters."""

_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
"""Control characters, those that turn the direction of writing, and halves of characters."""


def plain(text: str, most: int = 1000) -> str:
    """On one line, without what nobody can see, and cut openly where it is too long."""
    shown = " ".join(_INVISIBLE.sub(" ", text).split())
    rest = len(shown) - most
    return f"{shown[:most]} … ({rest} more characters)" if rest > 0 else shown


def escaped(text: str, most: int = 1000) -> str:
    """Text that stands for itself, in a paragraph, a list or a table."""
    return _MARKS.sub(r"\\\g<0>", plain(text, most))


def code(text: str) -> str:
    """A span of code, whatever backticks are in it."""
    shown = plain(text)
    longest = max(map(len, re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    space = " " if longest else ""
    return f"{fence}{space}{shown}{space}{fence}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown already; a column with `:` after its title is of figures
    and stands to the right.
    """
    rule = ["---:" if title.endswith(":") else "---" for title in head]
    body = [[title.removesuffix(":") for title in head], rule, *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in body)


def bullets(items: Sequence[str]) -> str:
    """A list of items that are Markdown already."""
    return "\n".join(f"- {item}" for item in items)


def folded(title: str, content: str) -> str:
    """Content behind a title that is to be opened; the title is HTML already."""
    return f"<details>\n<summary>{title}</summary>\n\n{content}\n\n</details>"


def bounded(blocks: Sequence[str], most_bytes: int, rest: str) -> str:
    """The first blocks that fit, each whole; `rest` says where the others are."""
    kept: list[str] = []
    room = most_bytes - len(f"{rest}\n".encode())
    for block in blocks:
        room -= len(f"{block}\n\n".encode())
        if room < 0:
            return "\n\n".join([*kept, rest]) + "\n"
        kept.append(block)
    return "\n\n".join(kept) + "\n"

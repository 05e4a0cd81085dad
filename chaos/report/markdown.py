"""Markdown as GitHub shows it, from text that may hold anything."""

from __future__ import annotations

import re
from collections.abc import Sequence

from chaos.evidence.text import LONGEST, plain

_AMOUNT = r"(?:^|(?<=\s))\$\d+(?:\.\d+)?(?![\w$`])"
_MARKS = re.compile(rf"(?P<amount>{_AMOUNT})|[\\`*\[\]<>|~&$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""What has a meaning within a line. An underscore has none between letters, and a dollar none
before an amount; around anything else two of them make it mathematics.
"""

_CALLS = re.compile(r"(?<=(?<![A-Za-z0-9])@)(?=[A-Za-z0-9])|(?<=(?<!&)#)(?=[0-9])")

_STARTS = re.compile(r"(#{1,6}(?=\s|$)|[-+=]|\d{1,9}(?=[.)]))")
"""What makes a heading, a list or a rule of a line that begins with it."""


def escaped(text: str, most: int = LONGEST) -> str:
    """Text that stands for itself within a line: of a paragraph, a list or a table."""
    marked = _MARKS.sub(lambda m: m[0] if m["amount"] else rf"\{m[0]}", plain(text, most))
    return uncalled(marked)


def uncalled(text: str) -> str:
    """Text in which GitHub notifies nobody and links no thread: a space without width stands
    between, as a backslash does not keep it from looking there.
    """
    return _CALLS.sub("&#8203;", text)


def paragraph(text: str) -> str:
    """Text that stands for itself as a whole line or paragraph."""
    return _line(escaped(text))


def _line(markdown: str) -> str:
    """What is Markdown within a line, as a line that is nothing but a line."""
    begin = _STARTS.match(markdown)
    if not begin:
        return markdown
    if begin[0][0].isdigit():
        return f"{begin[0]}\\{markdown[begin.end() :]}"
    return f"\\{markdown}"


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
    """A list of items that are Markdown already, a line each."""
    return "\n".join(f"- {_line(item)}" for item in items)


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

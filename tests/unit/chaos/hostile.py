"""One text with all that a guest could put into a name or a failure to deceive who reads it."""

from __future__ import annotations

FORGED = "OVERALL: 9/9 tests passed"
ROW = "| 9. Forged | Complete | 0.1 s | $0.00 | PASSED |"

HOSTILE = (
    "ok\x1b[31mred\x1b[2J\x1b]8;;http://evil.example\x1b\\here\x1b]8;;\x1b\\\x1b]0;title\x07"
    f"\r\n{FORGED}\n{ROW}\r{FORGED}\x85{FORGED}\u2028{FORGED}\x0b{FORGED}\n"
    "# head\n- [x] done\n<script>alert(1)</script><img src=x onerror=alert(1)>"
    "[link](javascript:alert(1)) ![image](http://evil.example/x.png) `code` ```\n"
    "$x$ &lt; ]]> \x00\x08\x7f\x9b31m\x9d0;title\x9c\u202eesrever\u202c\u2066isolated\u2069"
    "\u200b\u200d\u2060\ufeff\u061c\u200e\u00ad\u034f\u3164\u2800\U000e0041\U000e0100\ufdd0end"
)
"""C0, C1, colours, links, titles, newlines of all kinds, HTML, Markdown, both directions of writing
and what has no width at all.
"""

LONG = "long" * 25_000


def unseen(text: str) -> set[str]:
    """What must reach no reader: all that steers or cannot be seen, but for the newline."""
    blank = set("\u034f\u3164\u2800\U000e0100")
    return {c for c in text if c != "\n" and (not c.isprintable() or c in blank)}


def forged(text: str) -> list[str]:
    """The lines that pass for the harness's own."""
    return [line for line in text.split("\n") if line.startswith((FORGED, ROW))]

"""A case's timeline for other viewers: Chrome's trace format, and OpenTelemetry's.

`spans.py` makes spans of the same evidence as the timeline of the page; `chrome.py` and `otlp.py`
write them, one after the other, so that a large case takes no more memory than its evidence.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from chaos.evidence.case import Evidence
from chaos.report.html.logs import read_lines
from chaos.report.trace import chrome, otlp
from chaos.report.trace.spans import Source

Writer = Callable[[Source], Iterable[str]]

FORMATS: Mapping[str, Writer] = {"chrome": chrome.parts, "otlp": otlp.parts}


def name_of(form: str) -> str:
    """The name of the file of a format."""
    return f"trace.{form}.json"


def write_trace(
    folder: Path, form: str, evidence: Evidence, recovered_s: Mapping[datetime, float]
) -> Path:
    """Write the trace of a case beside its evidence; whole or not at all.

    `recovered_s` says how long the recovery from each fault took. Raises ValueError where the
    journal tells nothing, and OSError.
    """
    lines = read_lines(folder / "logs", evidence.journal)
    source = Source.of(evidence, lines, recovered_s)
    target = folder / name_of(form)
    _write(target, FORMATS[form](source))
    return target


def _write(target: Path, parts: Iterable[str]) -> None:
    """In pieces, under a name that nobody can guess until all is there."""
    temporary = target.with_name(f".{target.name}.{os.urandom(8).hex()}")
    try:
        with temporary.open("x", encoding="utf-8", errors="backslashreplace") as file:
            for part in _together(parts):
                file.write(part)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _together(parts: Iterable[str], least: int = 64 * 1024) -> Iterator[str]:
    """The same text in larger pieces."""
    held: list[str] = []
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size >= least:
            yield "".join(held)
            held, size = [], 0
    yield "".join(held)

"""What the processes of a case said, and which of it is worth reading: the lines around a fault."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from chaos.evidence.files import is_own_file, read_start
from chaos.evidence.journal import Entry, Event

MOST_BYTES = 8_000_000
"""Of each file; a log of more than that is a flood, and its beginning tells why."""

_LONGEST = 2_000
"""Of a line, in characters."""

_SHOWN = 170
"""Of each part of a line that is shown."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_OF_A_SUPERVISOR = re.compile(r"(worker-\d+) \| ")
_STAMP = re.compile(
    r"(?:time=)?(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)?[\s\]]+"
)
_LEVEL = re.compile(
    r"(?:level=)?(DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL|FATAL)\b:?\s*", re.IGNORECASE
)
_FIELD = re.compile(r'([\w-]+)=(?:"((?:[^"\\]|\\.)*)"|(\S+))')
_SHAPE = re.compile(r"[0-9a-f]*\d[0-9a-f]*")
_QUARTER = 900.0
_GRAVE = frozenset({"WARN", "ERROR"})
_LEVELS = {"WARNING": "WARN", "CRITICAL": "ERROR", "FATAL": "ERROR"}


@dataclass(frozen=True)
class Line:
    """One thing that a process said. `level` is upper case, WARN or ERROR for what matters.

    `ending` is the error below a stack trace that followed; `repeats` is how often a similar line
    came after it.
    """

    at: datetime
    source: str
    level: str
    text: str
    ending: str = ""
    repeats: int = 0

    @property
    def shown(self) -> str:
        """As much of it as a reader needs."""
        return _cut(_in_short(self.text), _SHOWN)


@dataclass(frozen=True)
class Excerpt:
    """The lines that were chosen, and how many more there are around the same times."""

    lines: Sequence[Line]
    omitted: int


Window = tuple[datetime, datetime]


def read_lines(folder: Path, journal: Sequence[Entry]) -> Sequence[Line]:
    """All that the logs of a case hold, in the order of time. What cannot be read, or is a link
    that may lead anywhere, is left out.
    """
    began = {e.target: e.at for e in reversed(journal) if e.event is Event.STARTED}
    first = journal[0].at if journal else None
    found: list[Line] = []
    for file in sorted(f for f in folder.glob("*.log") if is_own_file(f, folder.parent)):
        found += _in_utc(_parsed(file), began.get(file.stem, first))
    return sorted(found, key=lambda line: line.at)


def excerpt(lines: Sequence[Line], windows: Sequence[Window], *, most: int) -> Excerpt:
    """What was said in any of these windows; if that is too much, warnings and errors first."""
    within = [line for line in lines if any(a <= line.at <= b for a, b in windows)]
    told = list(_without_repeats(within))
    by_gravity = sorted(told, key=lambda line: (line.level not in _GRAVE, line.at))
    chosen = sorted(by_gravity[:most], key=lambda line: line.at)
    return Excerpt(chosen, len(told) - len(chosen))


def _in_short(text: str) -> str:
    """What a worker says of an attempt, without the names that are the same in every line."""
    ended = re.match(r"temporalio\.activity: Completing activity as failed \(\{(.*)\}\)$", text)
    if ended:
        told = dict(re.findall(r"'(\w+)': '?([^',}]*)", ended[1]))
        names = (told.get(name, "?") for name in ("attempt", "activity_type", "workflow_id"))
        return "attempt {} of {}, {}, failed".format(*names)
    if text.startswith("msg="):
        fields = {name: quoted or plain for name, quoted, plain in _FIELD.findall(text)}
        wanted = (fields.get(name) for name in ("msg", "operation", "wf-id", "error"))
        return ": ".join(filter(None, wanted))
    return text


def _without_repeats(lines: Sequence[Line]) -> Iterator[Line]:
    """A line and how often a similar one came after it, from the same source."""
    last: dict[tuple[str, str], int] = {}
    kept: list[Line] = []
    for line in lines:
        shape = line.source, _SHAPE.sub("#", line.shown)[:80]
        place = last.get(shape)
        if place is None:
            last[shape] = len(kept)
            kept.append(line)
        else:
            kept[place] = replace(kept[place], repeats=kept[place].repeats + 1)
    yield from kept


def _in_utc(lines: Sequence[Line], began: datetime | None) -> Iterator[Line]:
    """The lines with their times as the journal has them.

    A time that names no zone is of the machine that ran: the quarters of an hour between the first
    line and the start of its process are the zone.
    """
    naive = next((line.at for line in lines if line.at.tzinfo is None), None)
    away = timedelta()
    if naive and began:
        seconds = (naive.replace(tzinfo=UTC) - began).total_seconds()
        away = timedelta(seconds=round(seconds / _QUARTER) * _QUARTER)
    for line in lines:
        if line.at.tzinfo is None:
            yield replace(line, at=line.at.replace(tzinfo=UTC) - away)
        else:
            yield line


def _parsed(file: Path) -> Sequence[Line]:
    try:
        content = read_start(file, MOST_BYTES)
    except OSError:
        return ()
    found: list[Line] = []
    last: dict[str, int] = {}
    traced: set[str] = set()
    for raw in content.decode("utf-8", "replace").splitlines():
        text = _CONTROLS.sub(" ", _COLOURS.sub("", raw))
        source = file.stem
        if within := _OF_A_SUPERVISOR.match(text):
            source, text = f"{source} {within[1]}", text[within.end() :]
        if line := _stamped(text, source):
            last[source] = len(found)
            found.append(line)
        elif text.startswith("Traceback"):
            traced.add(source)
        elif source in traced & last.keys() and text.strip() and not text.startswith((" ", "\t")):
            # The first words below a stack trace that are not indented say why.
            traced.discard(source)
            found[last[source]] = replace(found[last[source]], ending=_cut(text, _SHOWN))
    return found


def _stamped(text: str, source: str) -> Line | None:
    """A line that begins with its time; None for any other."""
    if text.startswith("{"):
        return _of_json(text, source)
    stamp = _STAMP.match(text)
    if not stamp:
        return None
    at = _time(stamp[1], stamp[2], stamp[3], stamp[4])
    rest = text[stamp.end() :]
    level = _LEVEL.match(rest)
    said = rest[level.end() :] if level else rest
    return Line(at, source, _level(level[1] if level else ""), _cut(said)) if at else None


def _of_json(text: str, source: str) -> Line | None:
    """As Temporal's own server writes: an object with `ts`, `level` and `msg`."""
    try:
        said = json.loads(text)
        stamp = _STAMP.match(f"{said['ts']} ")
        at = _time(stamp[1], stamp[2], stamp[3], stamp[4]) if stamp else None
        words = [str(said.get("msg", "")), str(said.get("error", ""))]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    level = _level(str(said.get("level", "")))
    return Line(at, source, level, _cut(": ".join(filter(None, words)))) if at else None


def _time(day: str, clock: str, fraction: str | None, zone: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6]:0<6}{zone or ''}")
    except ValueError:
        return None


def _level(name: str) -> str:
    return _LEVELS.get(name.upper(), name.upper())


def _cut(text: str, most: int = _LONGEST) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"

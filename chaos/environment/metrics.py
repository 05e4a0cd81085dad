"""The SDK metrics of a worker, in any language: scraped from where it serves them to Prometheus.

Every SDK of Temporal has the same names for what it measures, and each writes them a little
differently: with or without `temporal_`, a unit or `_total`, in seconds or in milliseconds. Here
each has one name, without `temporal_`, and durations are in seconds.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from chaos.process.ports import Port, PortTakenError

PORT = "{port}"
"""In the value of a variable: the port that the harness gives to a worker."""

DURATIONS = (
    "workflow_task_schedule_to_start_latency",
    "activity_schedule_to_start_latency",
    "workflow_task_replay_latency",
    "workflow_task_execution_latency",
    "workflow_endtoend_latency",
    "activity_execution_latency",
    "request_latency",
)
"""Histograms, kept as `…_seconds`."""

NUMBERS = (
    "workflow_task_execution_failed",
    "activity_execution_failed",
    "workflow_completed",
    "workflow_failed",
    "request",
    "request_failure",
    "long_request",
    "long_request_failure",
    "worker_task_slots_available",
    "worker_task_slots_used",
    "sticky_cache_size",
    "sticky_cache_hit",
    "sticky_cache_miss",
    "num_pollers",
)
"""Counters, from the start of the worker on, and gauges."""

LABELS = frozenset(
    {
        *("operation", "status_code", "poller_type", "worker_type", "failure_reason"),
        *("workflow_type", "activity_type", "task_queue"),
    }
)
"""What tells one series of a name from another; those that differ in others are added up."""

MOST_BYTES = 1024 * 1024
MOST_SERIES = 400
MOST_BUCKETS = 30
DEADLINE_SECONDS = 1.0
"""Of one scrape: a worker that serves more, or later, is left out."""

_TRIES = 100
_LONGEST_LABEL = 120
_MOST_LABELS = 50
_LONGEST_LINE = 4_000
_MOST_LINES = 20_000
_NAME = re.compile(
    rf"(?:temporal_)?({'|'.join((*DURATIONS, *NUMBERS))})"
    r"(?P<unit>_seconds|_milliseconds)?(?:_total)?(?P<part>_bucket|_sum|_count)?"
)
_SERIES = re.compile(r"([A-Za-z_:][\w:]*)\s*(?:\{(.*)\})?\s*")
_LABEL = re.compile(r'\s*([A-Za-z_]\w*+)\s*+=\s*+"((?:[^"\\]|\\.)*+)"\s*+,?')
_ESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


@dataclass(frozen=True)
class Metrics:
    """How a target's worker finds out where to serve its SDK metrics for Prometheus: the harness
    gives each worker a port, in this `variable`. They are read at the path `/metrics`.

    `is_counted` says that the target's own supervisor starts each of its workers with a port of its
    own, counted up from the one that it is given. Without it, workers of that supervisor would want
    the same port, and get none.
    """

    variable: str
    value: str = f"127.0.0.1:{PORT}"
    is_counted: bool = False

    def setting(self, port: Port) -> dict[str, str]:
        """The variable of a worker that gets this port."""
        return {self.variable: self.value.replace(PORT, str(port.number))}


def ports_in_a_row(count: int) -> list[Port]:
    """So many ports with successive numbers. Raises OSError where there are none."""
    for _ in range(_TRIES):
        found = [Port()]
        try:
            found += [Port(number=found[0].number + after) for after in range(1, count)]
        except (PortTakenError, OSError, OverflowError):
            for port in found:
                port.release()
        else:
            return found
    raise OSError(f"no {count} free ports in a row were found")


_Labels = tuple[tuple[str, str], ...]


class _Head(NamedTuple):
    """What a line is of, and which part of it; `bound` is that of a bucket."""

    family: str
    unit: str
    part: str
    labels: _Labels
    bound: str


@dataclass
class Reading:
    """One series of a scrape: of a histogram `value` is the sum. Durations are in seconds."""

    name: str
    labels: Mapping[str, str]
    value: float = 0.0
    count: float | None = None
    buckets: dict[str, float] = field(default_factory=dict)


class ScrapeError(Exception):
    """The metrics cannot be read now. The sentence says why."""


async def scrape(port: int) -> Sequence[Reading]:
    """What a worker serves at a port of 127.0.0.1, now. Raises ScrapeError."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            text = await _get(port)
    except TimeoutError:
        raise ScrapeError(f"no answer within {DEADLINE_SECONDS:g} s") from None
    except (OSError, asyncio.IncompleteReadError) as error:
        raise ScrapeError(f"no answer ({error})") from None
    return read(text)


async def _get(port: int) -> str:
    """By HTTP/1.0, whose answer ends with its connection, or where it says."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=64 * 1024)
    try:
        writer.write(f"GET /metrics HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        await writer.drain()
        received = bytearray()
        while len(received) <= MOST_BYTES and not _is_whole(received):
            part = await reader.read(64 * 1024)
            if not part:
                break
            received += part
    finally:
        writer.close()
    if len(received) > MOST_BYTES:
        raise ScrapeError(f"the answer is larger than {MOST_BYTES // 1024} KB")
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    status = head.split(b"\r\n", 1)[0].split(b" ")
    if len(status) < 2 or status[1] != b"200":
        raise ScrapeError("the answer is not the status 200")
    return body.decode("utf-8", "replace")


def _is_whole(received: bytearray) -> bool:
    """Whether all of the length that the answer told of itself is there."""
    head, found, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length:\s*([0-9]{1,9})", head) if found else None
    return length is not None and len(body) >= int(length[1])


@lru_cache(maxsize=64)
def read(text: str) -> Sequence[Reading]:
    """The wanted series of a text in Prometheus' format. Lines that are none of it are skipped, and
    values that are no finite numbers. A worker that waits says the same again, which is known.
    """
    found: dict[tuple[str, _Labels], Reading] = {}
    units: dict[str, str] = {}
    for head, value in _lines(text):
        key = head.family, head.labels
        if key not in found:
            if len(found) >= MOST_SERIES:
                continue
            found[key] = Reading(head.family, dict(head.labels))
        units[head.family] = head.unit
        _add(found[key], head, value)
    for family in DURATIONS:
        _to_seconds([each for each in found.values() if each.name == family], units.get(family, ""))
    return tuple(found.values())


def _add(reading: Reading, head: _Head, value: float) -> None:
    if head.part == "_count":
        reading.count = (reading.count or 0.0) + value
    elif head.part != "_bucket":
        reading.value += value
    elif head.bound in reading.buckets or len(reading.buckets) < MOST_BUCKETS:
        reading.buckets[head.bound] = reading.buckets.get(head.bound, 0.0) + value


def _to_seconds(readings: Iterable[Reading], unit: str) -> None:
    """By the unit in the name; else, as the SDKs' shared core counts, in milliseconds, unless a
    bucket ends below 1: none of its own in milliseconds does.
    """
    readings = list(readings)
    bounds = [_bound(text) for each in readings for text in each.buckets]
    least = min((bound for bound in bounds if bound), default=1.0)
    is_seconds = unit == "_seconds" or (not unit and 0 < least < 1)
    factor = 1.0 if is_seconds else 0.001
    for each in readings:
        each.name = f"{each.name}_seconds"
        each.value *= factor
        each.buckets = {
            "+Inf" if math.isinf(bound) else f"{bound * factor:g}": count
            for text, count in each.buckets.items()
            if (bound := _bound(text)) is not None
        }


def _bound(text: str) -> float | None:
    try:
        bound = float(text)
    except ValueError:
        return None
    return None if math.isnan(bound) else bound


def _lines(text: str) -> Iterator[tuple[_Head, float]]:
    """What each wanted line is of, and its value. A time after the value is allowed."""
    for line in islice(text.splitlines(), _MOST_LINES):
        if line.startswith("#") or len(line) > _LONGEST_LINE:
            continue
        series, _, value = line.rstrip().rpartition(" ")
        head = _head(series)
        if head is None and series[-1:] not in {"}", ""}:
            series, _, value = series.rpartition(" ")
            head = _head(series)
        with suppress(ValueError):
            if head is not None and math.isfinite(number := float(value)):
                yield head, number


@lru_cache(maxsize=4096)
def _head(series: str) -> _Head | None:
    """What stands before a value; None if it is not wanted. It is the same at each scrape."""
    found = _SERIES.fullmatch(series)
    known = _NAME.fullmatch(found[1]) if found else None
    if found is None or known is None:
        return None
    labels = dict(islice(_labels_in(found[2] or ""), _MOST_LABELS))
    own = sorted((name, said[:_LONGEST_LABEL]) for name, said in labels.items() if name in LABELS)
    unit, part = known["unit"] or "", known["part"] or ""
    if bool(part) != (known[1] in DURATIONS):
        return None  # a quantile of a summary, such as Java's
    return _Head(known[1], unit, part, tuple(own), labels.get("le", "")[:_LONGEST_LABEL])


def _labels_in(text: str) -> Iterator[tuple[str, str]]:
    """Each label with its value, up to what is none: to look further for the next one would take
    the square of the length, and hold up the run for a minute.
    """
    end = 0
    while found := _LABEL.match(text, end):
        name, said = found.groups()
        yield name, re.sub(r"\\.", lambda escaped: _ESCAPED.get(escaped[0], escaped[0]), said)
        end = found.end()

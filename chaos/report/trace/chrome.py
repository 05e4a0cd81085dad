"""The trace event format of Chrome, which https://ui.perfetto.dev and chrome://tracing open. Times
are microseconds from the begin of the case.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from chaos.evidence.samples import BACKLOG, BACKLOG_AGE, WORKER_MEMORY, Sample, SamplesError
from chaos.report.trace.spans import HARNESS, Instant, Source, Span, shown

COUNTED = (BACKLOG, BACKLOG_AGE, WORKER_MEMORY, "worker_task_slots_used", "sticky_cache_size")
"""The samples that are drawn as a counter."""

_MICROSECOND = timedelta(microseconds=1)


def parts(source: Source) -> Iterator[str]:
    """The text of the file."""
    numbers = _Numbers(source.clock.begin)
    before = '{"displayTimeUnit":"ms","traceEvents":[\n'
    for event in _events(source, numbers):
        yield before + json.dumps(event, ensure_ascii=False, allow_nan=False)
        before = ",\n"
    yield "\n]}\n"


@dataclass
class _Numbers:
    """The numbers of processes and threads, in the order in which they come."""

    begin: datetime
    processes: dict[str, int] = field(default_factory=dict)
    threads: dict[tuple[str, str], int] = field(default_factory=dict)

    def microseconds(self, at: datetime) -> int:
        return (at - self.begin) // _MICROSECOND

    def place(self, process: str, track: str) -> Iterator[dict[str, Any]]:
        """What tells the name of a process and a thread that were not there before."""
        if process not in self.processes:
            number = self.processes[process] = len(self.processes) + 1
            yield self._named("process_name", number, 0, process)
            yield {
                **self._named("process_sort_index", number, 0, ""),
                "args": {"sort_index": number},
            }
        if (process, track) not in self.threads:
            number = self.threads[process, track] = len(self.threads) + 1
            yield self._named("thread_name", self.processes[process], number, track)

    def _named(self, what: str, process: int, thread: int, name: str) -> dict[str, Any]:
        return {"ph": "M", "name": what, "pid": process, "tid": thread, "args": {"name": name}}

    def at(self, process: str, track: str) -> dict[str, int]:
        return {"pid": self.processes[process], "tid": self.threads[process, track]}


def _events(source: Source, numbers: _Numbers) -> Iterator[dict[str, Any]]:
    for span in source.harness():
        yield from _complete(span, numbers)
    for instant in source.instants():
        yield from _instant(instant, numbers)
    for spans in source.workflows():
        for span in spans:
            yield from _complete(span, numbers)
    try:
        samples = source.evidence.samples
    except (SamplesError, OSError):
        return
    for sample in samples:
        if sample.name in COUNTED:
            yield from _counter(sample, numbers)


def _complete(span: Span, numbers: _Numbers) -> Iterator[dict[str, Any]]:
    yield from numbers.place(span.process, span.track)
    told = {"error": span.message} if span.message else {}
    yield {
        "ph": "X",
        "name": span.name,
        "cat": str(span.attributes.get("chaos.kind") or span.name.partition(":")[0]),
        **numbers.at(span.process, span.track),
        "ts": numbers.microseconds(span.start),
        "dur": max(0, (span.end - span.start) // _MICROSECOND),
        "args": {**span.attributes, **told},
    }


def _instant(instant: Instant, numbers: _Numbers) -> Iterator[dict[str, Any]]:
    yield from numbers.place(HARNESS, "journal")
    yield {
        "ph": "i",
        "name": instant.name,
        "cat": instant.kind,
        **numbers.at(HARNESS, "journal"),
        "ts": numbers.microseconds(instant.at),
        "s": "g" if instant.kind == "fault" else "t",  # a fault is a line through everything
    }


def _counter(sample: Sample, numbers: _Numbers) -> Iterator[dict[str, Any]]:
    labels = [value for name, value in sorted(sample.labels.items()) if name != "pid"]
    track = shown(" ".join([sample.name, *labels]))
    yield from numbers.place("samples", "samples")
    yield {
        "ph": "C",
        "name": track,
        "pid": numbers.processes["samples"],
        "ts": numbers.microseconds(sample.at),
        "args": {"value": sample.value},
    }

"""What became of the processes of a case, and what was done to them, by the journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from chaos.environment.roles import POSTGRES
from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.invariants.recovery.faults import is_worker
from chaos.report.html.values import Clock, Mark, Row, Span, plain

TOGETHER = timedelta(seconds=0.5)
"""A signal this soon after its fault is that fault."""

_OF_PROCESSES = frozenset({Event.STARTED, Event.READY, Event.EXITED, Event.SIGNALED})


def processes(evidence: Evidence, clock: Clock) -> Iterator[Row]:
    """A row for each; of services and proxies only where something happened to them."""
    entries = [e for e in evidence.journal if e.target and e.at < clock.end]
    targets = dict.fromkeys(str(e.target) for e in entries if e.event in _OF_PROCESSES)
    for target in targets:
        own = [entry for entry in entries if entry.target == target]
        marks = [*_marks(own, clock)]
        marks += _refusals(evidence, target, clock)
        quiet = all(mark.kind in {"ready", "start"} for mark in marks)
        if not (quiet and not _is_target(target)):
            yield Row(target, (tuple(_lives(own, clock)),), tuple(sorted(marks, key=_moment)))


def _is_target(name: str) -> bool:
    """Whether it is Temporal, or a worker: what a reader looks for first."""
    return is_worker(name) or name.startswith("temporal-") or name == POSTGRES


def _moment(mark: Mark) -> float:
    return mark.at


def _lives(own: Sequence[Entry], clock: Clock) -> Iterator[Span]:
    """When the processes of one name were starting, there, and asleep."""
    for started in own:
        if started.event is not Event.STARTED:
            continue
        of_it = [entry for entry in own if entry.pid == started.pid and entry.at >= started.at]
        ready = next((clock(e.at) for e in of_it if e.event is Event.READY), None)
        gone = next((clock(e.at) for e in of_it if e.event is Event.EXITED), clock.last)
        begun, name = clock(started.at), f"{started.target} (pid {started.pid})"
        up = min(gone if ready is None else ready, gone)
        yield Span(begun, up, "starting", detail=f"{name} starts: {up - begun:.1f} s")
        if ready is not None:
            yield Span(ready, gone, "up", detail=f"{name} runs, {ready:.1f} s to {gone:.1f} s")
        yield from _sleeps(of_it, clock, name)


def _sleeps(of_it: Sequence[Entry], clock: Clock, name: str) -> Iterator[Span]:
    since: float | None = None
    for entry in of_it:
        if entry.signal == "SIGSTOP":
            since = clock(entry.at)
        elif since is not None and (entry.signal == "SIGCONT" or entry.event is Event.EXITED):
            until = clock(entry.at)
            yield Span(
                since, until, "asleep", detail=f"{name} is stopped for {until - since:.1f} s"
            )
            since = None


def _marks(own: Sequence[Entry], clock: Clock) -> Iterator[Mark]:
    """Hits, ends and new starts; the first start of a process is not marked."""
    hits = [entry.at for entry in own if entry.event is Event.FAULT]
    begun = False
    for entry in own:
        at, pid = clock(entry.at), f" (pid {entry.pid})" if entry.pid else ""
        name = f"{entry.target}{pid}"
        if entry.event is Event.FAULT:
            kind = "kill" if entry.kind in {"kill", "out_of_memory"} else "hit"
            yield Mark(at, kind, f"{plain(entry.kind)} at {name}, {at:.1f} s")
        elif entry.event is Event.SIGNALED:
            if not any(hit <= entry.at <= hit + TOGETHER for hit in hits):
                kind = "kill" if entry.signal == "SIGKILL" else "signal"
                yield Mark(at, kind, f"{entry.signal} to {name}, {at:.1f} s")
        elif entry.event is Event.EXITED:
            code = "" if entry.exit_code is None else f" with code {entry.exit_code}"
            yield Mark(at, "exit", f"{name} ended{code}, {at:.1f} s")
        elif entry.event is Event.STARTED:
            if begun:
                yield Mark(at, "start", f"{name} is started again, {at:.1f} s")
            begun = True
        elif entry.event is Event.READY:
            yield Mark(at, "ready", f"{name} is ready, {at:.1f} s")


def _refusals(evidence: Evidence, service: str, clock: Clock) -> Iterator[Mark]:
    """What a service did not answer as it should."""
    for refusal in (each for each in evidence.refusals if each.service == service):
        at = clock(refusal.at)
        yield Mark(at, "refusal", f"{refusal.text}, {at:.1f} s")

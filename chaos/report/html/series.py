"""What was measured during a case, as lines over time: from evidence to values, nothing drawn.

Three sources: the histories, which tell of any target how long tasks waited and how many activities
were done; the samples of task queues; those of workers, where the target has any. Times are seconds
from the begin of the case. Counters become rates, and start again at 0 with their worker.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from chaos.evidence.case import Evidence
from chaos.evidence.samples import (
    BACKLOG,
    BACKLOG_AGE,
    SERVED,
    WORKER_CPU,
    WORKER_MEMORY,
    Sample,
)
from chaos.evidence.tasks import tasks
from chaos.report.html.values import Clock

MOST_BINS = 240
"""Of a line: a longer case is thinned to so many points."""

SHORTEST_BIN_SECONDS = 1.0
MOST_LINES = 6
"""Of a panel: the highest are shown."""

_MIB = 1024 * 1024

Point = tuple[float, float | None]
"""A time and a value; None: it was not measured, so that a line breaks there."""


@dataclass(frozen=True)
class Line:
    """One line of a panel. With the shape `dots` each point stands for itself, with `steps` a value
    holds until the next.
    """

    name: str
    points: tuple[Point, ...]
    shape: Literal["line", "steps", "dots"] = "line"

    @property
    def top(self) -> float:
        """Its highest value."""
        return max((value for _, value in self.points if value is not None), default=0.0)


@dataclass(frozen=True)
class Measures:
    """One panel: what was measured, in which unit, and what a reader should know of it."""

    title: str
    unit: str
    lines: tuple[Line, ...]
    hidden: int = 0


def measures(
    evidence: Evidence, samples: Sequence[Sample], first: float, last: float
) -> Sequence[Measures]:
    """All panels of a case that have anything to show between two times."""
    clock = Clock.of(evidence)
    bins = _Bins.of(first, last)
    source = _Source(samples, clock, bins)
    found = [
        _panel("Backlog", "tasks", source.highest(BACKLOG, "kind", math.fsum)),
        _panel("Oldest in backlog", "s", source.highest(BACKLOG_AGE, "kind", max)),
        _panel("Schedule-to-start", "s", _latencies(evidence, clock, bins)),
        _panel("Activities done", "per s", _throughput(evidence, clock, bins)),
        _panel(
            "Workflow tasks",
            "s",
            [
                *source.means("replay", "workflow_task_replay_latency_seconds"),
                *source.means("execution", "workflow_task_execution_latency_seconds"),
            ],
        ),
        _panel("Slots used", "slots", source.held("worker_task_slots_used", "worker_type")),
        _panel("Sticky cache", "workflows", source.held("sticky_cache_size")),
        _panel("Cache misses", "per s", source.rates("sticky_cache_miss")),
        _panel("Pollers", "polls", source.held("num_pollers", "poller_type")),
        _panel("gRPC requests", "per s", [*source.rates("request"), *source.rates("long_request")]),
        _panel(
            "gRPC failures",
            "per s",
            source.rates("request_failure", "status_code", also="long_request_failure"),
        ),
        _panel(
            "Tasks failed",
            "per s",
            [
                *source.rates("workflow_task_execution_failed"),
                *source.rates("activity_execution_failed"),
            ],
        ),
        _panel("Worker CPU", "cores", source.cores()),
        _panel("Worker memory", "MiB", source.memory()),
    ]
    return [panel for panel in found if panel.lines]


def _panel(title: str, unit: str, lines: Iterable[Line]) -> Measures:
    """With the highest lines, in the order in which they came. One that never left 0 is shown only
    where all are such.
    """
    known = [line for line in lines if any(value is not None for _, value in line.points)]
    known = [line for line in known if line.top > 0 or line.shape == "dots"] or known
    kept = sorted(known, key=lambda line: -line.top)[:MOST_LINES]
    shown = tuple(line for line in known if line in kept)
    return Measures(title, unit, shown, hidden=len(known) - len(shown))


@dataclass(frozen=True)
class _Bins:
    """Stretches of time, all of one length."""

    first: float
    seconds: float
    count: int

    @classmethod
    def of(cls, first: float, last: float) -> _Bins:
        length = max(last - first, 0.001)
        seconds = max(SHORTEST_BIN_SECONDS, length / MOST_BINS)
        return cls(first, seconds, max(1, math.ceil(length / seconds)))

    def place(self, at: float) -> int | None:
        """In which it is; None outside of all."""
        if not self.first <= at <= self.end(self.count - 1):
            return None
        return min(math.floor((at - self.first) / self.seconds), self.count - 1)

    def middle(self, number: int) -> float:
        return self.first + (number + 0.5) * self.seconds

    def end(self, number: int) -> float:
        return self.first + (number + 1) * self.seconds

    def points(self, values: Mapping[int, float | None]) -> tuple[Point, ...]:
        """One for each, in its middle."""
        return tuple((self.middle(n), values.get(n)) for n in range(self.count))

    def thinned(self, points: Iterable[tuple[float, float]]) -> tuple[Point, ...]:
        """The points within; of too many the highest of each stretch."""
        inside = [(at, value) for at, value in points if self.place(at) is not None]
        if len(inside) <= 2 * MOST_BINS:
            return tuple(sorted(inside))
        highest: dict[int, tuple[float, float]] = {}
        for at, value in inside:
            place = self.place(at) or 0
            highest[place] = max(highest.get(place, (at, value)), (at, value), key=lambda p: p[1])
        return tuple(highest[place] for place in sorted(highest))


_Series = dict[tuple[tuple[str, str], ...], list[Sample]]


class _Source:
    """The samples of a case by name and by whose they are."""

    def __init__(self, samples: Sequence[Sample], clock: Clock, bins: _Bins) -> None:
        self._clock = clock
        self._bins = bins
        self._named: dict[str, _Series] = defaultdict(lambda: defaultdict(list))
        for sample in samples:
            self._named[sample.name][tuple(sorted(sample.labels.items()))].append(sample)
        self._served = self._when_served()
        anywhere = [any(each) for each in zip(*self._served.values(), strict=True)]
        self._is_any_served = anywhere or [False] * bins.count

    def _at(self, sample: Sample) -> float:
        return (sample.at - self._clock.begin).total_seconds()

    def _when_served(self) -> dict[str, list[bool]]:
        """Whether each worker serves its metrics at the end of each stretch."""
        return {
            dict(labels).get("worker", ""): [bool(value) for value in self._at_ends(samples)]
            for labels, samples in self._named.get(SERVED, {}).items()
        }

    def _at_ends(self, samples: Sequence[Sample]) -> list[float | None]:
        """The last value before the end of each stretch."""
        found: list[float | None] = []
        ahead = iter(samples)
        following, value = next(ahead, None), None
        for number in range(self._bins.count):
            while following is not None and self._at(following) <= self._bins.end(number):
                value, following = following.value, next(ahead, None)
            found.append(value)
        return found

    def _grouped(self, name: str, label: str) -> Mapping[str, list[tuple[str, list[Sample]]]]:
        """All series of a name with their workers, by the value of a label."""
        found: dict[str, list[tuple[str, list[Sample]]]] = defaultdict(list)
        for labels, samples in self._named.get(name, {}).items():
            own = dict(labels)
            key = own.get(label, "") if label else ""
            found[key or name.replace("_", " ")].append((own.get("worker", ""), samples))
        return found

    def highest(
        self, name: str, label: str, combined: Callable[[Iterable[float]], float]
    ) -> Iterator[Line]:
        """The values as they were measured, those of one moment combined; it breaks where some are
        missing.
        """
        for key, series in sorted(self._grouped(name, label).items()):
            moments: dict[float, list[float]] = defaultdict(list)
            for _, samples in series:
                for sample in samples:
                    moments[self._at(sample)].append(sample.value)
            values = {at: combined(each) for at, each in moments.items()}
            yield Line(key, _broken(self._bins.thinned(values.items()), self._bins.seconds))

    def held(self, name: str, label: str = "") -> Iterator[Line]:
        """Of a gauge: the last value of each worker for as long as it serves any, added up."""
        never = [False] * self._bins.count
        for key, series in sorted(self._grouped(name, label).items()):
            values: dict[int, float | None] = {}
            for worker, samples in series:
                served = self._served.get(worker, never)
                for number, value in enumerate(self._at_ends(samples)):
                    if value is not None and served[number]:
                        values[number] = (values.get(number) or 0.0) + value
            yield Line(key, self._bins.points(values), shape="steps")

    def rates(self, name: str, label: str = "", also: str = "") -> Iterator[Line]:
        """Of a counter: how much it grew in a second, all workers together."""
        groups = dict(self._grouped(name, label))
        for key, series in (self._grouped(also, label) if also else {}).items():
            groups[key] = [*groups.get(key, []), *series]
        for key, series in sorted(groups.items()):
            grown: dict[int, float] = defaultdict(float)
            for _, samples in series:
                for sample, before in _pairs(samples):
                    place = self._bins.place(self._at(sample))
                    if place is not None:
                        grown[place] += _grown(sample.value, before.value if before else 0.0)
            values = {
                n: grown[n] / self._bins.seconds if n in grown else 0.0
                for n in range(self._bins.count)
                if n in grown or self._is_any_served[n]
            }
            yield Line(key, self._bins.points(values))

    def means(self, line: str, name: str) -> Iterator[Line]:
        """Of a histogram: the mean of what was observed in each stretch; none where nothing was."""
        sums: dict[int, float] = defaultdict(float)
        counts: dict[int, float] = defaultdict(float)
        for samples in self._named.get(name, {}).values():
            for sample, before in _pairs(samples):
                place = self._bins.place(self._at(sample))
                is_on = before is not None and (before.count or 0) <= (sample.count or 0)
                if place is not None:
                    sums[place] += sample.value - (before.value if before and is_on else 0.0)
                    counts[place] += (sample.count or 0) - (
                        before.count or 0 if before and is_on else 0
                    )
        points = [(self._bins.middle(n), sums[n] / counts[n]) for n in sums if counts[n] > 0]
        if points:
            yield Line(line, tuple(sorted(points)), shape="dots")

    def cores(self) -> Iterator[Line]:
        """CPU seconds in a second of each worker; of a supervisor's, of all together."""
        for worker, series in sorted(self._grouped(WORKER_CPU, "worker").items()):
            moments: dict[float, float] = defaultdict(float)
            for _, samples in series:
                for sample, before in _pairs(samples):
                    if before and (lapse := (sample.at - before.at).total_seconds()) > 0:
                        used = max(0.0, sample.value - before.value)
                        moments[self._at(sample)] += used / lapse
            points = self._bins.thinned(moments.items())
            yield Line(worker, _broken(points, self._bins.seconds))

    def memory(self) -> Iterator[Line]:
        """MiB, in the same way."""
        for line in self.highest(WORKER_MEMORY, "worker", math.fsum):
            points = ((at, None if value is None else value / _MIB) for at, value in line.points)
            yield Line(line.name, tuple(points))


def _pairs(samples: Sequence[Sample]) -> Iterator[tuple[Sample, Sample | None]]:
    """Each with the one before it."""
    return zip(samples, [None, *samples], strict=False)


def _grown(value: float, before: float) -> float:
    """How much a counter grew; one that fell has started again."""
    return value - before if value >= before else value


def _broken(points: Sequence[Point], seconds: float) -> tuple[Point, ...]:
    """With a break wherever nothing was measured for three seconds, or three stretches."""
    found: list[Point] = []
    for at, value in points:
        if found and at - found[-1][0] > 3 * seconds:
            found.append((at, None))
        found.append((at, value))
    return tuple(found)


def _latencies(evidence: Evidence, clock: Clock, bins: _Bins) -> Iterator[Line]:
    """How long each task waited for a worker, by the histories: activities' first attempts alone,
    because a history does not say since when another one waits.
    """
    activities = [
        (clock(each.started_at), (each.started_at - each.scheduled_at).total_seconds())
        for workflow in evidence.all_workflows
        for each in workflow.activities
        if each.started_at and each.attempt == 1
    ]
    given = [
        (clock(task.started_at), task.waited_seconds)
        for workflow in evidence.all_workflows
        for run in workflow.runs
        for task in tasks(run)
    ]
    for name, points in (("workflow tasks", given), ("activities", activities)):
        if shown := bins.thinned(points):
            yield Line(name, shown, shape="dots")


def _throughput(evidence: Evidence, clock: Clock, bins: _Bins) -> Iterator[Line]:
    """Activities of each type that were completed in a second."""
    done: dict[str, dict[int, float]] = defaultdict(lambda: dict.fromkeys(range(bins.count), 0.0))
    for workflow in evidence.all_workflows:
        for each in workflow.activities:
            if each.completed and each.closed_at:
                place = bins.place(clock(each.closed_at))
                if place is not None:
                    done[each.kind][place] += 1 / bins.seconds
    for kind, values in done.items():
        yield Line(kind.replace("_", " "), bins.points(values))

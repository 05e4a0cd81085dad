"""How many workflows at once it takes until more of them bring no more.

One dev server, one fake API, `WORKERS` workers with three slots each, all on this machine. A single
workflow alone shows how much work one is; the ideal is that work ÷ slots, and never less than the
time of one alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil

from benchmarks.bed import Bed, closed_at, completed
from benchmarks.figures import Found, Quantity, Row, Table, seconds
from chaos.evidence.history import Workflow
from tests.chaos.video import specs
from tests.chaos.video.lab import VideoLab

QUESTION = "5 to 500 workflows at once: how close does the wall time come to work ÷ slots?"

WORKERS = 2
SLOTS = WORKERS * specs.SLOTS
WALL, IDEAL, RATIO, THROUGHPUT = "wall", "ideal", "÷ ideal", "throughput"
THOROUGH: Mapping[int, int] = {5: 3, 20: 2, 50: 2, 100: 1, 200: 1, 500: 1}
QUICK: Mapping[int, int] = {5: 1, 20: 1}
"""How many workflows at once, and how often."""

_ALONE = 3


@dataclass(frozen=True)
class Burst:
    """Workflows that were started together: seconds until the last was done, those that their
    activities took, and those of CPU that the whole machine used.
    """

    wall: float
    work: float
    cpu: float


@dataclass(frozen=True)
class Single:
    """A workflow alone: its activities' seconds, and its own from start to end."""

    work: float
    length: float

    def ideal(self, workflows: int) -> float:
        """What so many of it take at least."""
        return max(self.length, workflows * self.work / SLOTS)


async def measure(bed: Bed, *, quick: bool) -> Found:
    """Ever more workflows, on one stack."""
    return await bursts(bed, QUICK if quick else THOROUGH)


async def bursts(bed: Bed, repetitions: Mapping[int, int]) -> Found:
    """So many workflows at once, each so often, after some alone."""
    async with bed.lab("concurrency") as lab:
        await asyncio.gather(*(lab.worker() for _ in range(WORKERS)))
        singles = [await _single(lab, f"alone-{n}") for n in range(_ALONE)]
        measured = {
            count: [await _burst(lab, count, n) for n in range(times)]
            for count, times in repetitions.items()
        }
    return found(singles, measured)


async def _single(lab: VideoLab, name: str) -> Single:
    spec = specs.single(name)
    await lab.start(spec)
    (workflow,) = await completed(lab, [spec])
    length = (closed_at(workflow) - workflow.started_at).total_seconds()
    return Single(work_of(workflow), length)


def work_of(workflow: Workflow) -> float:
    """Seconds of its activities."""
    spans = [(a.started_at, a.closed_at) for a in workflow.activities]
    return sum((end - start).total_seconds() for start, end in spans if start and end)


async def _burst(lab: VideoLab, count: int, number: int) -> Burst:
    some = [specs.single(f"burst-{count}-{number}-{n}") for n in range(count)]
    before = _cpu_seconds()
    await asyncio.gather(*(lab.start(one) for one in some))
    workflows = await completed(lab, some)
    cpu = _cpu_seconds() - before
    began = min(workflow.started_at for workflow in workflows)
    wall = (max(map(closed_at, workflows)) - began).total_seconds()
    return Burst(wall, sum(map(work_of, workflows)), cpu)


def _cpu_seconds() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


def found(singles: Sequence[Single], bursts: Mapping[int, Sequence[Burst]]) -> Found:
    """The tables of what was measured."""
    work, length = seconds(*(s.work for s in singles)), seconds(*(s.length for s in singles))
    alone = Single(work.median, length.median)
    rows = [_row(count, some, alone.ideal(count)) for count, some in bursts.items()]
    single = Row(name="one alone", cells={"work": work, "start to end": length})
    return Found(
        tables=(
            Table(title=f"{WORKERS} workers, {SLOTS} slots", rows=tuple(rows)),
            Table(title="One workflow alone", rows=(single,)),
        ),
        notes=("The harness, the server and the fake API run on the same machine.",),
    )


def _row(count: int, bursts: Sequence[Burst], ideal: float) -> Row:
    wall, best = seconds(*(one.wall for one in bursts)), seconds(ideal)
    figures = {
        THROUGHPUT: ("1/s", [count / one.wall for one in bursts]),
        "slots in use": ("", [one.work / one.wall for one in bursts]),
        "cores busy": ("", [one.cpu / one.wall for one in bursts]),
    }
    more = {
        name: Quantity(values=tuple(round(v, 2) for v in values), unit=unit)
        for name, (unit, values) in figures.items()
    }
    return Row(
        name=f"{count} at once", cells={WALL: wall, IDEAL: best, RATIO: wall.over(best), **more}
    )

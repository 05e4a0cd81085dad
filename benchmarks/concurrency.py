"""How many workflows at once it takes until more of them bring no more.

One dev server, one fake API, `WORKERS` workers with three slots each, all on this machine. A single
workflow alone tells how much work one is; the ideal is that work ÷ slots, and never less than the
time of one alone. Whoever uses the processors meanwhile is told apart by process.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from matplotlib.figure import Figure

from benchmarks import plots
from benchmarks.bed import Bed
from benchmarks.figures import Found, Quantity, Row, Table, seconds
from benchmarks.machine import busy_seconds, cpu_seconds
from chaos.evidence.histories import save_histories
from chaos.evidence.history import Workflow
from chaos.evidence.spec import save_specs
from chaos.process.waiting import wait_until
from tests.chaos.video import specs
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.specs import VideoSpec
from tests.chaos.video.target import VIDEO

NAME = "concurrency"
TITLE = "From 5 to 500 workflows at once"
QUESTION = "How close does the wall time come to work ÷ slots, and what stops it?"

WORKERS = 2
SLOTS = WORKERS * specs.SLOTS
DEADLINE_SECONDS = 300.0

WORKFLOWS, WALL, IDEAL = "workflows", "wall", "ideal"
RATIO, THROUGHPUT, IN_USE, BUSY = "÷ ideal", "throughput", "slots in use", "processors busy"
OTHERS = "all else"
ACTORS = ("Temporal server", "workers", "fake API", "harness", OTHERS)
ALONE = "one alone"
_FULL = 0.9
"""The part of slots or processors from which on they count as full."""


@dataclass(frozen=True)
class Plan:
    """How many workflows at once, each so often; `alone` single ones before, and as a control
    `in_memory` at once on a server without a file.
    """

    repetitions: Mapping[int, int]
    alone: int
    in_memory: int = 0


THOROUGH = Plan({5: 3, 20: 2, 50: 2, 100: 1, 200: 1, 500: 1}, alone=5, in_memory=100)
QUICK = Plan({5: 1, 20: 1}, alone=2, in_memory=20)


@dataclass(frozen=True)
class Burst:
    """Workflows that were started together: seconds until the last was done, those that their
    activities took, and those of each actor's CPU.
    """

    wall: float
    work: float
    cpu: Mapping[str, float]


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
    return await burst(bed, QUICK if quick else THOROUGH)


async def burst(bed: Bed, plan: Plan) -> Found:
    """As planned."""
    async with bed.lab(NAME) as lab:
        await asyncio.gather(*(lab.worker() for _ in range(WORKERS)))
        singles = [await _single(lab, f"alone-{n}") for n in range(plan.alone)]
        bursts = {
            count: [await _burst(lab, count, n) for n in range(repetitions)]
            for count, repetitions in plan.repetitions.items()
        }
    return found(singles, bursts, await _in_memory(bed, plan.in_memory))


async def _in_memory(bed: Bed, count: int) -> Mapping[int, Sequence[Burst]]:
    """The control: how much of it is the server's disk."""
    if not count:
        return {}
    async with bed.lab(f"{NAME}-in-memory", persistent=False) as lab:
        await asyncio.gather(*(lab.worker() for _ in range(WORKERS)))
        await _single(lab, "warm")
        return {count: [await _burst(lab, count, 0)]}


async def _single(lab: VideoLab, name: str) -> Single:
    asked = specs.single(name)
    await lab.start(asked)
    await _until_ended(lab, [asked])
    (workflow,) = await _histories(lab, [asked])
    return single_of(workflow)


def single_of(workflow: Workflow) -> Single:
    """Raises RuntimeError for one that has not completed."""
    spans = [(a.started_at, a.closed_at) for a in workflow.activities]
    work = sum((end - start).total_seconds() for start, end in spans if start and end)
    return Single(work, (_closed(workflow) - workflow.started_at).total_seconds())


async def _burst(lab: VideoLab, count: int, number: int) -> Burst:
    asked = [specs.single(f"burst-{count}-{number}-{n}") for n in range(count)]
    before = _cpu(lab)
    await asyncio.gather(*(lab.start(one) for one in asked))
    await _until_ended(lab, asked)
    cpu = {name: seconds - before[name] for name, seconds in _cpu(lab).items()}
    workflows = await _histories(lab, asked)
    began = min(workflow.started_at for workflow in workflows)
    wall = (max(map(_closed, workflows)) - began).total_seconds()
    return Burst(wall, sum(single_of(workflow).work for workflow in workflows), cpu)


async def _until_ended(lab: VideoLab, asked: Sequence[VideoSpec]) -> None:
    """One after the other: few questions, for each costs the server some of its time."""
    for one in asked:
        await wait_until(
            partial(lab.has_ended, one.workflow_id),
            what=f"{one.workflow_id} ends",
            deadline_seconds=DEADLINE_SECONDS,
            interval_seconds=0.1,
        )


async def _histories(lab: VideoLab, asked: Sequence[VideoSpec]) -> Sequence[Workflow]:
    folder = lab.stack.evidence_folder / asked[0].workflow_id
    folder.mkdir()
    await save_histories(lab.client, folder, [one.workflow_id for one in asked])
    await save_specs(folder, asked, VIDEO.data_converter)
    return list(VideoEvidence.load(folder, VIDEO.reading).workflows.values())


def _closed(workflow: Workflow) -> datetime:
    if workflow.closed_at is None or workflow.status != "completed":
        raise RuntimeError(f"{workflow.workflow_id} is {workflow.status}, not completed.")
    return workflow.closed_at


def _cpu(lab: VideoLab) -> Mapping[str, float]:
    """Seconds of the processors that each actor has used so far."""
    ours = {
        "Temporal server": cpu_seconds(lab.stack.server.child.pid),
        "workers": sum(cpu_seconds(worker.child.pid) for worker in lab.stack.workers),
        "fake API": cpu_seconds(lab.stack.services["api"].child.pid),
        "harness": time.process_time(),
    }
    return {**ours, OTHERS: busy_seconds() - sum(ours.values())}


def found(
    singles: Sequence[Single],
    bursts: Mapping[int, Sequence[Burst]],
    in_memory: Mapping[int, Sequence[Burst]] | None = None,
) -> Found:
    """The tables of what was measured."""
    work = seconds(*(round(one.work, 4) for one in singles))
    length = seconds(*(round(one.length, 4) for one in singles))
    alone = Single(work.median, length.median)
    rows = [_row(count, measured, alone.ideal(count)) for count, measured in bursts.items()]
    single = Row(name=ALONE, cells={"work": work, "start to end": length}, baseline=True)
    controls = [_row(n, measured, alone.ideal(n)) for n, measured in (in_memory or {}).items()]
    tables = [
        Table.of(f"Started together; {WORKERS} workers, {SLOTS} slots", rows),
        Table.of("One workflow alone", [single]),
    ]
    if controls:
        tables.append(Table.of("A control: the server's data in memory, not in a file", controls))
    return Found(
        tables=tuple(tables),
        notes=(
            (
                "The ideal is workflows times the work of one alone ÷ slots, and never less than "
                "one alone takes from start to end."
            ),
            (
                "Cores are seconds of CPU ÷ wall time: 1.0 is one core kept busy. All run on this "
                "machine, the harness and the fake API too; all else is what others used."
            ),
        ),
    )


def _row(count: int, measured: Sequence[Burst], ideal: float) -> Row:
    wall = seconds(*(round(one.wall, 3) for one in measured))
    busy = {
        name: Quantity(
            values=tuple(round(max(0.0, one.cpu[name]) / one.wall, 3) for one in measured),
            unit="cores",
        )
        for name in ACTORS
    }
    together = tuple(round(sum(one.cpu.values()) / one.wall, 3) for one in measured)
    best = seconds(round(ideal, 3))
    return Row(
        name=f"{count}",
        cells={
            WALL: wall,
            IDEAL: best,
            RATIO: wall.over(best),
            THROUGHPUT: Quantity(
                values=tuple(round(count / one.wall, 2) for one in measured), unit="1/s"
            ),
            IN_USE: Quantity(
                values=tuple(round(one.work / one.wall, 2) for one in measured), unit="slots"
            ),
            BUSY: Quantity(values=together, unit="cores"),
            **busy,
        },
    )


def conclude(found: Found) -> str:
    """Where the throughput stops growing by a tenth, and what is full there."""
    rows = found.tables[0].rows
    top = max(row.cells[THROUGHPUT].median for row in rows)
    enough = next(row for row in rows if row.cells[THROUGHPUT].median >= 0.9 * top)
    slots, busy = enough.cells[IN_USE].median, enough.cells[BUSY].median
    actors = sorted(ACTORS, key=lambda name: -enough.cells[name].median)
    shares = ", ".join(f"{name} {enough.cells[name].median:.2f}" for name in actors)
    return (
        f"From {enough.name} workflows on, more bring less than a tenth more throughput (at most "
        f"{top:.1f} workflows a second). There, {slots:.1f} of {SLOTS} slots are in use and "
        f"{busy:.2f} cores kept busy: {shares}. {_limit(slots, busy)}{_compared(found)}"
    )


def _compared(found: Found) -> str:
    """What the control shows, where there is one."""
    rows = [row for table in found.tables[2:] for row in table.rows]
    return "".join(
        f" With the server's data in memory, {row.name} take {row.cells[RATIO].median:.2f} times "
        f"the ideal, with them in a file {found.tables[0].row(row.name).cells[RATIO].median:.2f}."
        for row in rows
    )


def _limit(slots: float, busy: float) -> str:
    if busy >= _FULL * (os.cpu_count() or 1):
        return "The processors are the limit."
    if slots >= _FULL * SLOTS:
        return "The slots are the limit, as they are meant to be."
    return "Neither is full: between two steps a workflow waits for the server's answers."


def plot(found: Found) -> Figure:
    """Wall time beside the ideal, and the cores that each actor keeps busy."""
    rows = found.tables[0].rows
    counts = [float(row.name) for row in rows]
    figure, (walls, cores) = plots.styled(10, 3.4, columns=2)
    plots.line(walls, counts, [row.cells[WALL] for row in rows], 0, "wall time")
    plots.ideal(walls, counts, [row.cells[IDEAL].median for row in rows], "ideal: work ÷ slots")
    walls.set_yscale("log")
    walls.yaxis.set_major_formatter("{x:g}")
    walls.set_ylabel("seconds, logarithmic")
    for series, name in enumerate(ACTORS, start=1):
        plots.line(cores, counts, [row.cells[name] for row in rows], series, name)
    cores.set_ylabel("cores kept busy")
    cores.set_ylim(bottom=0)
    for axes in (walls, cores):
        axes.set_xscale("log")
        axes.set_xticks(counts, [row.name for row in rows])
        axes.minorticks_off()
        axes.set_xlabel("workflows started together")
    plots.legend(figure, columns=6)
    return figure

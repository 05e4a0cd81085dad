"""How much of the suite's wall time is its longest wait, and who uses the processors meanwhile.

All scenarios run side by side in one process: the run cannot be shorter than its longest scenario,
and that one not shorter than the waits that the policy makes it wait, such as a heartbeat timeout
and a retry. Everything is read from the folder of a recorded run, or of several, for their spread;
where none is recorded, the five reference scenarios are run first.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from matplotlib.figure import Figure

from benchmarks import plots
from benchmarks.bed import Bed
from benchmarks.figures import RATIO, Found, Quantity, Row, Table, seconds
from benchmarks.suite_cpu import Usage, tables
from chaos.evidence.journal import read_journal
from chaos.experiment.reading import ReadingError, read_run
from chaos.experiment.results import CaseResult, RunResult

NAME = "suite"
TITLE = "The suite's wall time"
QUESTION = "How close is a whole run to its longest wait?"

REPORTS = Path(__file__).parent.parent / "reports"
FIVE = "worker_crash or retry_config or server_restart or checkpoint or concurrency"

WAITS, LENGTH, SHARE = "waits by policy", "scenario", "share"
_SHOWN = 8
"""Rows of the longest scenarios."""


class NoRunError(Exception):
    """There is no run to measure. One sentence: what happened and what to do."""


@dataclass(frozen=True)
class Recorded:
    """A run, and when it ended; no `usage` where its version did not measure that."""

    run: RunResult
    ended_at: datetime
    usage: Usage | None = None

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raises NoRunError."""
        try:
            run = read_run(folder)
        except ReadingError as error:
            raise NoRunError(str(error)) from None
        return cls(run, ended_at(folder) or run.started_at, Usage.of(folder, run))

    @property
    def wall(self) -> float:
        """Seconds from its start to its end."""
        return (self.ended_at - self.run.started_at).total_seconds()

    @property
    def longest(self) -> float:
        """Seconds of its longest scenario. Raises NoRunError where none ran to its end."""
        longest = max((scenario.duration_s for scenario in self.run.scenarios), default=0.0)
        if self.wall <= 0 or longest <= 0:
            raise NoRunError(
                f"the run {self.run.run_id} has no scenario that ran to its end; name another."
            )
        return longest

    @property
    def total(self) -> float:
        """Seconds of all its scenarios, one after the other."""
        return sum(scenario.duration_s for scenario in self.run.scenarios)

    @property
    def cases(self) -> Mapping[str, CaseResult]:
        """Every case, those of the longest scenario first."""
        ordered = sorted(self.run.scenarios, key=lambda scenario: -scenario.duration_s)
        return {f"{each.name}/{case.name}": case for each in ordered for case in each.cases}

    @property
    def slowest(self) -> Sequence[str]:
        """The case that each scenario waited for, by name."""
        lasted = {scenario.name: scenario.duration_s for scenario in self.run.scenarios}
        return [
            name
            for name, case in self.cases.items()
            if case.duration_s == lasted[name.partition("/")[0]]
        ]


@dataclass(frozen=True)
class Suite:
    """Measures the runs in these folders; none: the newest one, or one that is made now."""

    folders: Sequence[Path] = ()

    async def measure(self, bed: Bed, *, quick: bool) -> Found:
        """Raises NoRunError."""
        del quick  # nothing is repeated
        folders = self.folders or [REPORTS / "latest"]
        if not self.folders and not (folders[0] / "results.json").exists():
            folders = [await _run_the_five(bed)]
        return found([Recorded.read(folder) for folder in folders])


async def _run_the_five(bed: Bed) -> Path:
    reports = bed.folder / "five"
    argv = (sys.executable, "-m", "pytest", "-q", "-m", "chaos", "-k", FIVE, f"--reports={reports}")
    process = await asyncio.create_subprocess_exec(
        *argv, cwd=REPORTS.parent, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    return reports / "latest"


def ended_at(folder: Path) -> datetime | None:
    """The last moment that any journal of a run tells of; None where it has none."""
    journals = (read_journal(file) for file in folder.rglob("journal.jsonl"))
    return max((entry.at for journal in journals for entry in journal), default=None)


def found(runs: Sequence[Recorded]) -> Found:
    """The tables of these runs, a value for each of them. Raises NoRunError for one in which no
    scenario ran to its end.
    """
    whole = Row(
        name="the whole run",
        cells={
            "wall": _seconds(run.wall for run in runs),
            "longest scenario": _seconds(run.longest for run in runs),
            "wall ÷ longest": _ratio(run.wall / run.longest for run in runs),
            "all scenarios one by one": _seconds(run.total for run in runs),
            "side by side": _ratio(run.total / run.wall for run in runs),
        },
    )
    every = [run.cases for run in runs]
    names = [name for name in runs[0].slowest if all(name in cases for cases in every)]
    longest = [_row(name, [cases[name] for cases in every]) for name in names[:_SHOWN]]
    usage = [run.usage for run in runs if run.usage]
    which = f"run {runs[0].run.run_id}" if len(runs) == 1 else f"{len(runs)} runs"
    return Found(
        tables=(
            Table.of(f"{len(runs[0].run.scenarios)} scenarios, {which}", [whole]),
            Table.of("The longest scenarios, by their longest case", longest),
            *(tables(usage) if len(usage) == len(runs) else ()),
        ),
        notes=(
            (
                "Waits by policy are the times in which the history shows a lost attempt not yet "
                "missed (heartbeat timeout) or a retry not yet due; overlapping ones count once. "
                "The rest is deadlines of the scenario's own, outages that it makes, and work."
            ),
            (
                "The processors' seconds are the kernel's own, of each process when it has ended. "
                "Workers that a fleet has waited for count with the fleet; the other ones are what "
                "forks the rest, and whatever was asked or made on the way."
            ),
        ),
    )


def _seconds(values: Iterable[float]) -> Quantity:
    return seconds(*(round(value, 3) for value in values))


def _ratio(values: Iterable[float]) -> Quantity:
    return Quantity(values=tuple(round(value, 3) for value in values), unit=RATIO)


def _row(name: str, cases: Sequence[CaseResult]) -> Row:
    cells = {
        LENGTH: _seconds(case.duration_s for case in cases),
        WAITS: _seconds(policy_seconds(case) for case in cases),
        SHARE: _ratio(policy_seconds(case) / case.duration_s for case in cases),
    }
    return Row(name=name, cells=cells, remark=_explained(cases[0]))


def policy_seconds(case: CaseResult) -> float:
    """How long anything waited for a timeout or a retry; what overlaps counts once."""
    total, until = timedelta(), None
    for begin, end in sorted(_waits(case)):
        start = begin if until is None else max(begin, until)
        total += max(timedelta(), end - start)
        until = end if until is None else max(until, end)
    return min(total.total_seconds(), case.duration_s)


def _waits(case: CaseResult) -> Iterator[tuple[datetime, datetime]]:
    for fault in case.faults:
        if took := fault.recovery_s:
            yield fault.at, fault.at + timedelta(seconds=took.detect + took.reschedule)


def _explained(case: CaseResult) -> str:
    """The longest single recovery of a case, in words."""
    parts = [(f.recovery_s, f) for f in case.faults if f.recovery_s]
    if not parts:
        return "no recovery"
    took, fault = max(parts, key=lambda part: part[0].detect + part[0].reschedule)
    return (
        f"longest: {fault.kind} at {fault.target}, noticed after {took.detect:.1f} s, "
        f"retry after {took.reschedule:.1f} s"
    )


def plot(found: Found) -> Figure:
    """The longest scenarios, and the part of each that the policy makes it wait."""
    rows: Sequence[Row] = tuple(reversed(found.tables[1].rows))
    wall = found.tables[0].rows[0].cells["wall"].median
    figure, (axes,) = plots.styled(8, 0.32 * len(rows) + 1.2)
    lengths = [row.cells[LENGTH].median for row in rows]
    waits = [row.cells[WAITS].median for row in rows]
    axes.barh(
        range(len(rows)), lengths, height=0.6, color=plots.SERIES[0], alpha=0.35, label="scenario"
    )
    axes.barh(
        range(len(rows)), waits, height=0.3, color=plots.SERIES[1], label="of it, waits by policy"
    )
    plots.ideal(axes, [wall, wall], [-0.5, len(rows) - 0.5], "wall time of the run")
    plots.rows(axes, [row.name for row in rows])
    axes.set_xlabel("seconds")
    plots.legend(figure, columns=3)
    return figure

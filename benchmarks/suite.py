"""How much of the suite's wall time is its longest wait, by a recorded run.

All scenarios run side by side in one process: the run cannot be shorter than its longest scenario,
and that one not shorter than the waits that the policy makes it wait, such as a heartbeat timeout
and a retry. Everything is read from the run's folder; where none is recorded, the five reference
scenarios are run first.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks import plots
from benchmarks.bed import Bed
from benchmarks.figures import RATIO, Found, Quantity, Row, Table, seconds
from chaos.journal import read_journal
from chaos.report.reading import ReadingError, read_run
from chaos.report.results import CaseResult, RunResult

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
class Suite:
    """Measures a run in a folder; None: the newest one, or one that is made now."""

    folder: Path | None = None

    async def measure(self, bed: Bed, *, quick: bool) -> Found:
        """Raises NoRunError."""
        del quick  # nothing is repeated
        folder = self.folder or REPORTS / "latest"
        if self.folder is None and not (folder / "results.json").exists():
            folder = await _run_the_five(bed)
        try:
            run = read_run(folder)
        except ReadingError as error:
            raise NoRunError(str(error)) from None
        return found(run, ended_at(folder) or run.started_at)


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


def found(run: RunResult, ended: datetime) -> Found:
    """The tables of a run. Raises NoRunError for one in which nothing ran to its end."""
    scenarios = sorted(run.scenarios, key=lambda scenario: -scenario.duration_s)
    wall = (ended - run.started_at).total_seconds()
    if not scenarios or wall <= 0 or scenarios[0].duration_s <= 0:
        raise NoRunError(f"the run {run.run_id} has no scenario that ran to its end; name another.")
    longest, total = scenarios[0].duration_s, sum(s.duration_s for s in scenarios)
    whole = Row(
        name="the whole run",
        cells={
            "wall": seconds(round(wall, 3)),
            "longest scenario": seconds(round(longest, 3)),
            "wall ÷ longest": Quantity(values=(round(wall / longest, 3),), unit=RATIO),
            "all scenarios one by one": seconds(round(total, 3)),
            "side by side": Quantity(values=(round(total / wall, 3),), unit=RATIO),
        },
    )
    cases = [
        _row(f"{scenario.name}/{case.name}", case)
        for scenario in scenarios[:_SHOWN]
        for case in scenario.cases
        if case.duration_s == scenario.duration_s
    ]
    return Found(
        tables=(
            Table.of(f"{len(scenarios)} scenarios, run {run.run_id}", [whole]),
            Table.of("The longest scenarios, by their longest case", cases),
        ),
        notes=(
            (
                "Waits by policy are the times in which the history shows a lost attempt not yet "
                "missed (heartbeat timeout) or a retry not yet due; overlapping ones count once. "
                "The rest is deadlines of the scenario's own, outages that it makes, and work."
            ),
        ),
    )


def _row(name: str, case: CaseResult) -> Row:
    length, waits = seconds(round(case.duration_s, 3)), seconds(round(policy_seconds(case), 3))
    share = Quantity(values=(round(policy_seconds(case) / case.duration_s, 3),), unit=RATIO)
    return Row(
        name=name, cells={LENGTH: length, WAITS: waits, SHARE: share}, remark=_explained(case)
    )


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

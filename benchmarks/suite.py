"""How much of a recorded run's wall time is its longest scenario, and what used the processors.

All scenarios run side by side: a run cannot be shorter than its longest one. Everything is read
from the folder of a run, or of several, for their spread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.bed import Bed
from benchmarks.figures import RATIO, Found, Quantity, Row, Table, seconds
from chaos.evidence.journal import read_journal
from chaos.experiment.reading import read_run
from chaos.experiment.results import RunResult

QUESTION = "How close is a whole run to its longest scenario, and what uses the processors?"

LATEST = Path(__file__).parent.parent / "reports" / "latest"
WALL, LONGEST, WALL_RATIO, SIDE_BY_SIDE = "wall", "longest", "wall ÷ longest", "side by side"


@dataclass(frozen=True)
class Suite:
    """Measures the runs in these folders."""

    folders: Sequence[Path] = ()

    async def measure(self, bed: Bed, *, quick: bool) -> Found:
        """Raises ReadingError where a folder is no run; without any, the newest run."""
        del bed, quick  # nothing is started or repeated
        folders = self.folders or [LATEST]
        return found([(read_run(folder), ended_at(folder)) for folder in folders])


def ended_at(folder: Path) -> datetime:
    """The last moment in any journal of a run."""
    journals = (read_journal(file) for file in folder.rglob("journal.jsonl"))
    return max(entry.at for journal in journals for entry in journal)


def found(runs: Sequence[tuple[RunResult, datetime]]) -> Found:
    """The tables of these runs, with a value for each."""
    whole = [_whole(run, ended_at) for run, ended_at in runs]
    cells = {
        name: Quantity(values=tuple(one[name] for one in whole), unit=unit)
        for name, unit in ((WALL, "s"), (LONGEST, "s"), (WALL_RATIO, RATIO), (SIDE_BY_SIDE, ""))
    }
    which = f"{len(runs[0][0].scenarios)} scenarios, {len(runs)} of their runs"
    tables = [Table(title=which, rows=(Row(name="the whole run", cells=cells),))]
    used = [run.cpu_s for run, _ in runs]
    if kinds := [kind for kind in used[0] if all(kind in each for each in used)]:
        rows = [
            Row(name=kind, cells={"used": seconds(*(each[kind] for each in used))})
            for kind in sorted(kinds, key=lambda kind: -used[0][kind])
        ]
        total = {"used": seconds(*(sum(each.values()) for each in used))}
        title = "Seconds of the processors, by kind of process"
        tables.append(Table(title=title, rows=(*rows, Row(name="all of them", cells=total))))
    return Found(tables=tuple(tables))


def _whole(run: RunResult, ended_at: datetime) -> Mapping[str, float]:
    """Raises ValueError for a run in which no scenario came to its end."""
    wall = (ended_at - run.started_at).total_seconds()
    lengths = [scenario.duration_s for scenario in run.scenarios]
    if not any(lengths):
        raise ValueError(f"the run {run.run_id} has no scenario that ran to its end.")
    figures = {
        WALL: wall,
        LONGEST: max(lengths),
        WALL_RATIO: wall / max(lengths),
        SIDE_BY_SIDE: sum(lengths) / wall,
    }
    return {name: round(value, 3) for name, value in figures.items()}

"""Who used the processors in a recorded run: which kinds of process, and which cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.figures import COUNT, RATIO, Quantity, Row, Table, seconds
from chaos.experiment.cpu import HARNESS, Share, journals_of, shares
from chaos.experiment.results import RunResult

ALL, PROCESSES, USED, SHARE = "all of them", "processes", "used", "share"
_DEAREST = 10


@dataclass(frozen=True)
class Usage:
    """Seconds by kind and the number of processes of the kinds that the journals know; `cases` has
    by its folder what a case's own processes took.
    """

    kinds: Mapping[str, float]
    processes: Mapping[str, int]
    cases: Mapping[str, Mapping[str, Share]]

    @classmethod
    def of(cls, folder: Path, run: RunResult) -> Self | None:
        """None where the run is of a version that did not measure it."""
        if not run.cpu_s:
            return None
        journals = journals_of(folder)
        whole = shares(*journals.values())
        return cls(
            kinds=run.cpu_s,
            processes={kind: share.processes for kind, share in whole.items()} | {HARNESS: 1},
            cases={
                str(file.parent.relative_to(folder)): shares(journal)
                for file, journal in journals.items()
            },
        )

    @property
    def total(self) -> float:
        """Of the whole run."""
        return sum(self.kinds.values())


def tables(runs: Sequence[Usage]) -> Sequence[Table]:
    """By kind and by case, a value for each run; what is not in all of them is left out."""
    return (
        Table.of("Seconds of the processors, by kind of process", _kinds(runs)),
        Table.of("The cases that took most of the processors", _cases(runs)),
    )


def _kinds(runs: Sequence[Usage]) -> Sequence[Row]:
    names = sorted(runs[0].kinds, key=lambda kind: -runs[0].kinds[kind])
    rows = [
        Row(
            name=kind.replace("_", " "),
            cells={
                USED: seconds(*(round(run.kinds[kind], 2) for run in runs)),
                SHARE: Quantity(
                    values=tuple(round(run.kinds[kind] / run.total, 3) for run in runs), unit=RATIO
                ),
                **_counted([run.processes.get(kind, 0) for run in runs]),
            },
        )
        for kind in names
        if all(kind in run.kinds for run in runs)
    ]
    return [*rows, Row(name=ALL, cells={USED: seconds(*(round(r.total, 2) for r in runs))})]


def _counted(processes: Sequence[int]) -> Mapping[str, Quantity]:
    if not all(processes):
        return {}
    return {PROCESSES: Quantity(values=tuple(map(float, processes)), unit=COUNT)}


def _cases(runs: Sequence[Usage]) -> Sequence[Row]:
    common = [name for name in runs[0].cases if all(name in run.cases for run in runs)]
    rows = [_case(name, [run.cases[name] for run in runs]) for name in common]
    return sorted(rows, key=lambda row: -row.cells[ALL].median)[:_DEAREST]


def _case(name: str, runs: Sequence[Mapping[str, Share]]) -> Row:
    kinds = [kind for kind in runs[0] if all(kind in run for run in runs)]
    return Row(
        name=name,
        cells={
            ALL: seconds(*(round(sum(s.seconds for s in run.values()), 2) for run in runs)),
            **{
                kind.replace("_", " "): seconds(*(round(run[kind].seconds, 2) for run in runs))
                for kind in sorted(kinds)
            },
        },
    )

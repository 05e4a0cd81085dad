"""The last runs that are kept, side by side: what passes each time, and the newest figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos.evidence.text import plain
from chaos.experiment.reading import ReadingError, read_run
from chaos.experiment.results import RunResult, ScenarioResult
from chaos.invariants.verdict import Verdict
from chaos.report.table import aligned, usd

LAST = 10
"""Runs that are shown."""

MARKS = {Verdict.PASSED: "✓", Verdict.FAILED: "✗", Verdict.UNKNOWN: "?"}
ABSENT = "."
"""Of a run in which a scenario has no result."""

HEAD = ("Test", "Verdicts", "Passed", "Duration", "Slowest recovery", "Billed")


@dataclass(frozen=True)
class Row:
    """One scenario in each run, the oldest first; None where a run has no result of it."""

    title: str
    results: tuple[ScenarioResult | None, ...]

    @property
    def there(self) -> list[ScenarioResult]:
        """The results that there are."""
        return [result for result in self.results if result]

    @property
    def passed(self) -> int:
        """How many of them are passes."""
        return sum(result.verdict is Verdict.PASSED for result in self.there)


@dataclass(frozen=True)
class Trend:
    """The last runs of one mode and topology, the oldest first. `notes` say what was left out."""

    runs: tuple[RunResult, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def trend(reports: Path) -> Trend:
    """Of the runs in a folder, those like its newest. Raises ReadingError where there is none."""
    runs, notes = _read_all(reports)
    if not runs:
        raise ReadingError(
            f"{reports} has no readable run", " ".join(["name another folder.", *notes])
        )
    runs.sort(key=lambda run: (run.started_at, run.run_id))
    newest = runs[-1]
    alike = [run for run in runs if (run.mode, run.topology) == (newest.mode, newest.topology)]
    if others := len(runs) - len(alike):
        kind = f"{newest.mode} on the topology {newest.topology}"
        notes.append(f"Left out: {others} not {kind}, unlike the newest.")
    shown = alike[-LAST:]
    return Trend(tuple(shown), tuple(_rows(shown)), tuple(notes))


def _read_all(reports: Path) -> tuple[list[RunResult], list[str]]:
    runs, notes = [], []
    for folder in _folders(reports):
        try:
            runs.append(read_run(folder))
        except ReadingError as error:
            notes.append(f"Left out: {error.fact}.")
    return runs, notes


def _folders(reports: Path) -> list[Path]:
    """Those of runs. `latest` is one of them once more, and explorations are kept beside them."""
    try:
        folders = [each for each in reports.iterdir() if each.is_dir() and not each.is_symlink()]
    except OSError as error:
        raise ReadingError(
            f"the folder for reports {reports} cannot be read ({error.strerror})", "name another."
        ) from None
    return sorted(each for each in folders if not each.name.startswith((".", "explore-")))


def _rows(runs: Sequence[RunResult]) -> Iterator[Row]:
    """By the numbers that scenarios have in the newest run that has them."""
    newest = {scenario.name: scenario for run in runs for scenario in run.scenarios}
    for known in sorted(newest.values(), key=lambda scenario: scenario.number):
        found = tuple(
            next((each for each in run.scenarios if each.name == known.name), None) for run in runs
        )
        yield Row(known.title, found)


def trend_lines(found: Trend) -> list[str]:
    """For a terminal: what the table is of, the table, and what was left out."""
    first, newest = found.runs[0].run_id, found.runs[-1]
    kind = f"({newest.mode}, topology {newest.topology})"
    legend = ", ".join([*(f"{mark} {word}" for word, mark in MARKS.items()), f"{ABSENT} no result"])
    return [
        f"Runs {kind}: {len(found.runs)}, {first} to {newest.run_id}, oldest first; {legend}",
        *aligned([HEAD, *map(_cells, found.rows)]),
        *found.notes,
    ]


def _cells(row: Row) -> tuple[str, ...]:
    last = row.there[-1]
    return (
        plain(row.title, 100),
        "".join(MARKS[result.verdict] if result else ABSENT for result in row.results),
        f"{row.passed} of {len(row.there)}",
        f"{last.duration_s:.1f} s",
        f"{last.recovery_s.total:.1f} s" if last.recovery_s else "-",
        usd(last.cost_usd),
    )

"""The runs that are kept, side by side: what passes each time, and what becomes of its figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos.evidence.text import cell, plain
from chaos.experiment.reading import ReadingError, read_run
from chaos.experiment.results import RunResult, ScenarioResult
from chaos.invariants.verdict import Verdict
from chaos.report import markdown
from chaos.report.table import aligned, usd

LAST = 10
"""Runs that are shown."""

MARKS = {Verdict.PASSED: "✓", Verdict.FAILED: "✗", Verdict.UNKNOWN: "?"}
ABSENT = "."
"""Of a run in which a scenario has no result."""

HEAD = ("Test", "Verdicts", "Passed", "Duration", "Slowest recovery", "Billed")

_BARS = "▁▂▃▄▅▆▇█"
_OTHERS = ("explore-",)
"""What else is kept beside runs begins so."""


@dataclass(frozen=True)
class Row:
    """One scenario in each run, the oldest first; None where a run has no result of it."""

    name: str
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

    @property
    def is_flaky(self) -> bool:
        """Whether it passed sometimes, and sometimes did not."""
        return 0 < self.passed < len(self.there)


@dataclass(frozen=True)
class Trend:
    """The last runs of one mode and topology, the oldest first. `notes` say what was left out."""

    runs: tuple[RunResult, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def trend(reports: Path, last: int = LAST) -> Trend:
    """Of the runs in a folder, those like its newest. Raises ReadingError where there is none."""
    runs, notes = _read_all(reports)
    if not runs:
        raise ReadingError(
            f"{reports} holds no run that can be read", " ".join(["name another folder.", *notes])
        )
    runs.sort(key=lambda run: (run.started_at, run.run_id))
    newest = runs[-1]
    alike = [run for run in runs if (run.mode, run.topology) == (newest.mode, newest.topology)]
    if others := len(runs) - len(alike):
        kind = f"{newest.mode} on the topology {newest.topology}"
        notes.append(f"Left out: {others} not {kind}, as the newest is.")
    shown = alike[-last:]
    if earlier := len(alike) - len(shown):
        notes.append(f"Left out: {earlier} earlier (--last shows more).")
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
    """What should be runs: `latest` is one of them once more."""
    try:
        return sorted(
            folder
            for folder in reports.iterdir()
            if folder.is_dir()
            and not folder.is_symlink()
            and not folder.name.startswith((".", *_OTHERS))
        )
    except OSError as error:
        raise ReadingError(
            f"the folder for reports {reports} cannot be read ({error.strerror})", "name another."
        ) from None


def _rows(runs: Sequence[RunResult]) -> Iterator[Row]:
    """By the numbers that scenarios have in the newest run that has them."""
    newest = {scenario.name: scenario for run in runs for scenario in run.scenarios}
    for known in sorted(newest.values(), key=lambda scenario: scenario.number):
        found = tuple(
            next((each for each in run.scenarios if each.name == known.name), None) for run in runs
        )
        yield Row(known.name, known.title, found)


def trend_blocks(found: Trend) -> list[str]:
    """For Markdown: the table, and what was left out, a block a piece."""
    head, legend, *rest = _words(found)
    table = "\n".join(_fitted(found, None, markdown.escaped)[0])
    return [*map(markdown.paragraph, (head, legend)), table, *map(markdown.paragraph, rest)]


def trend_lines(found: Trend, *, width: int | None = None) -> list[str]:
    """Likewise for a terminal, where a table that is too wide loses its last columns."""
    head, legend, *rest = _words(found)
    table, missing = _fitted(found, width, cell)
    rest += [f"For want of room: no {', '.join(missing)}."] if missing else []
    return [head, "", legend, "", *table, *([""] if rest else []), *rest]


def _words(found: Trend) -> list[str]:
    """What the table is of, its legend, and all that is to be said below it."""
    first, newest = found.runs[0], found.runs[-1]
    count = f"{len(found.runs)} run{'' if len(found.runs) == 1 else 's'}"
    head = f"{count} ({newest.mode}, topology {newest.topology}), {first.run_id}"
    marks = [f"{mark} {verdict}" for verdict, mark in MARKS.items()]
    legend = ", ".join([*marks, f"{ABSENT} no result"])
    words = [f"{head} to {newest.run_id}" if first is not newest else head]
    words.append(f"Oldest first; {legend}")
    if flaky := [row.name for row in found.rows if row.is_flaky]:
        words.append(f"Passes sometimes, and sometimes does not: {', '.join(flaky)}")
    return [*words, *found.notes]


def _fitted(
    found: Trend, width: int | None, as_cell: Callable[[str], str]
) -> tuple[list[str], Sequence[str]]:
    """The table, and the heads of what it lost."""
    body = [HEAD, *(_cells(row) for row in found.rows)]
    for columns in range(len(HEAD), 3, -1):
        lines = aligned([row[:columns] for row in body], as_cell)
        if width is None or len(lines[0]) <= width:
            break
    return lines, HEAD[columns:]


def _cells(row: Row) -> tuple[str, ...]:
    recoveries = [r.recovery_s.total if r and r.recovery_s else None for r in row.results]
    return (
        plain(row.title, 100),
        "".join(MARKS[result.verdict] if result else ABSENT for result in row.results),
        f"{row.passed} of {len(row.there)}",
        _times([result.duration_s if result else None for result in row.results]),
        _times(recoveries),
        _money(row.there),
    )


def _times(seconds: Sequence[float | None]) -> str:
    """Their shape, and the newest."""
    there = [each for each in seconds if each is not None]
    return f"{sparkline(seconds)} {there[-1]:.1f} s" if there else "-"


def _money(results: Sequence[ScenarioResult]) -> str:
    """The newest bill, and how far the others were from it."""
    bills = [result.cost_usd for result in results]
    newest, least, most = usd(bills[-1]), usd(min(bills)), usd(max(bills))
    return newest if least == most else f"{newest} ({least} to {most})"


def sparkline(values: Sequence[float | None]) -> str:
    """A bar for each value, from nothing to the greatest; a gap where there is none."""
    most = max((value for value in values if value is not None), default=0.0)
    top = len(_BARS) - 1
    return "".join(
        ABSENT if value is None else _BARS[round(value / most * top) if most else 0]
        for value in values
    )

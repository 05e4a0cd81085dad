"""What the benchmarks write down: figures with their spread, as JSON and as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, computed_field

RATIO = "×"  # noqa: RUF001 - the sign of a multiple
"""The unit of a quantity that was divided by another of the same run."""


class Figures(BaseModel):
    """A part of `bench.json`."""

    model_config = ConfigDict(frozen=True)


class Quantity(Figures):
    """What was measured, once or several times."""

    values: tuple[float, ...] = Field(min_length=1)
    unit: str

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated property
    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    def over(self, baseline: Quantity) -> Quantity:
        """Each value as a multiple of the baseline's median. Raises ValueError for other units."""
        if self.unit != baseline.unit:
            raise ValueError(f"{self.unit} cannot be divided by {baseline.unit}")
        return Quantity(values=tuple(v / baseline.median for v in self.values), unit=RATIO)

    def __str__(self) -> str:
        """The median with its unit and, of several values, the range."""
        unit = self.unit if self.unit == RATIO else f" {self.unit}".rstrip()
        low, high = min(self.values), max(self.values)
        middle = f"{_digits(self.median)}{unit}"
        return middle if low == high else f"{middle} ({_digits(low)} to {_digits(high)})"


def _digits(value: float) -> str:
    """Three digits that tell something, without an exponent."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.{1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3}f}"


def seconds(*values: float) -> Quantity:
    """Of so many seconds."""
    return Quantity(values=tuple(round(value, 4) for value in values), unit="s")


class Row(Figures):
    """One line of a table."""

    name: str
    cells: Mapping[str, Quantity]


class Table(Figures):
    """Rows, and the columns that any of them has."""

    title: str
    rows: tuple[Row, ...]

    def row(self, name: str) -> Row:
        """The row of that name. Raises KeyError."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    def markdown(self) -> Iterator[str]:
        """Its title, and a line for each row."""
        columns = tuple(dict.fromkeys(name for row in self.rows for name in row.cells))
        yield from (f"**{self.title}**", "", f"| | {' | '.join(columns)} |")
        yield f"|---|{'---:|' * len(columns)}"
        for row in self.rows:
            cells = (str(row.cells[name]) if name in row.cells else "-" for name in columns)
            yield f"| {row.name} | {' | '.join(cells)} |"


class Found(Figures):
    """What a benchmark has measured. `problems` are what it saw that should not be."""

    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @classmethod
    def together(cls, runs: Sequence[Self]) -> Self:
        """Several runs as one, whose values are the medians of each; the rows that all have."""
        if len(runs) == 1:
            return runs[0]
        tables = zip(*(run.tables for run in runs), strict=True)
        return cls(
            tables=tuple(map(_together, tables)),
            notes=runs[0].notes,
            problems=tuple(problem for run in runs for problem in run.problems),
        )


def _together(tables: Sequence[Table]) -> Table:
    rows = []
    for row in tables[0].rows:
        same = [r for table in tables for r in table.rows if r.name == row.name]
        if len(same) == len(tables):
            medians = {
                name: Quantity(values=tuple(r.cells[name].median for r in same), unit=cell.unit)
                for name, cell in row.cells.items()
            }
            rows.append(Row(name=row.name, cells=medians))
    return Table(title=tables[0].title, rows=tuple(rows))


class Benchmark(Figures):
    """One benchmark of a run; `load_before` is the machine's load average over a minute."""

    name: str
    question: str
    found: Found
    duration_s: float
    load_before: float


class Report(Figures):
    """The whole of `bench.json`."""

    schema_version: Literal[2] = Field(default=2, alias="schema", serialization_alias="schema")
    started_at: datetime
    machine: str
    benchmarks: tuple[Benchmark, ...]

    def markdown(self) -> str:
        """All tables and notes."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield f"# Benchmarks, {self.started_at:%Y-%m-%d %H:%M} UTC"
        yield from ("", self.machine)
        yield from ("", "Each figure is a median, with the least and the most in parentheses.")
        for benchmark in self.benchmarks:
            yield from ("", f"## {benchmark.name}", "", benchmark.question, "")
            yield f"{benchmark.duration_s:.0f} s; load average before: {benchmark.load_before:g}."
            for table in benchmark.found.tables:
                yield from ("", *table.markdown())
            wrong = (f"**Wrong**: {problem}" for problem in benchmark.found.problems)
            if notes := [*benchmark.found.notes, *wrong]:
                yield from ("", *(f"- {note}" for note in notes))

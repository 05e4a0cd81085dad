"""What the benchmarks write down: figures with their spread, and where they come from."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, computed_field

RATIO = "×"  # noqa: RUF001 - the sign of a multiple
"""The unit of a quantity that was divided by another of the same run."""

COUNT = ""
"""The unit of what was counted."""


class Figures(BaseModel):
    """A part of `bench.json`."""

    model_config = ConfigDict(frozen=True)


class Quantity(Figures):
    """What was measured so many times; `mad` is the median of the distances from the median."""

    values: tuple[float, ...] = Field(min_length=1)
    unit: str

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated property
    @property
    def repetitions(self) -> int:
        """How often it was measured."""
        return len(self.values)

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated property
    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated property
    @property
    def low(self) -> float:
        """The least."""
        return min(self.values)

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated property
    @property
    def high(self) -> float:
        """The most."""
        return max(self.values)

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated property
    @property
    def mad(self) -> float:
        """How far the middle half is from the median: a spread that one outlier does not move."""
        return statistics.median(abs(value - self.median) for value in self.values)

    def over(self, baseline: Quantity) -> Quantity:
        """Each value as a multiple of the baseline's median. Raises ValueError for other units."""
        if self.unit != baseline.unit:
            raise ValueError(f"{self.unit} cannot be divided by {baseline.unit}")
        return Quantity(values=tuple(v / baseline.median for v in self.values), unit=RATIO)


def seconds(*values: float) -> Quantity:
    """Of so many seconds."""
    return Quantity(values=values, unit="s")


class Row(Figures):
    """One line of a benchmark's table. `baseline`: the others' ratios are to this one."""

    name: str
    cells: Mapping[str, Quantity]
    remark: str = ""
    baseline: bool = False


class Table(Figures):
    """Rows that share their columns, in this order."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, title: str, rows: Sequence[Row]) -> Self:
        """With every column that any row has."""
        columns = dict.fromkeys(name for row in rows for name in row.cells)
        return cls(title=title, columns=tuple(columns), rows=tuple(rows))

    def row(self, name: str) -> Row:
        """The row of that name. Raises KeyError."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)


class Found(Figures):
    """What a benchmark has to tell, whatever the machine was doing meanwhile."""

    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()


class Load(Figures):
    """The machine's load average: over a minute, five and fifteen."""

    one: float
    five: float
    fifteen: float


class Benchmark(Figures):
    """One benchmark of a run. `conclusion` is drawn from what was found, not measured."""

    name: str
    title: str
    question: str
    found: Found
    conclusion: str = ""
    started_at: datetime
    duration_s: float
    load_before: Load
    load_after: Load


class Machine(Figures):
    """Where it was measured, and with what."""

    cpus: int
    memory_gb: float
    system: str
    versions: Mapping[str, str]


class Report(Figures):
    """The whole of `bench.json`."""

    schema_version: Literal[1] = Field(default=1, alias="schema", serialization_alias="schema")
    started_at: datetime
    quick: bool
    machine: Machine
    benchmarks: tuple[Benchmark, ...]

"""Figures: what a case measured, each with the most that it may be, and the invariant of that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from chaos.evidence.case import Evidence
from chaos.invariants import Invariant, Late

SECONDS = "s"
"""The unit of a time."""

_Value = Annotated[float, Field(gt=-1e15, lt=1e15, allow_inf_nan=False)]


class Figure(BaseModel):
    """One figure of a case, computed from its evidence.

    Attributes:
        name: what was measured, such as `drain time`.
        value: how much it was.
        unit: of both values, such as `s` or `tasks`; empty for a plain number.
        bound: the most that it may be, computed from the target's timings, the histories and the
            load. None: it is shown, and nothing is promised.

    """

    model_config = ConfigDict(frozen=True)

    name: str
    value: _Value
    unit: str = ""
    bound: _Value | None = None

    @property
    def is_within(self) -> bool:
        """Whether it keeps its bound."""
        return self.bound is None or self.value <= self.bound

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        bound = f" of at most {self.bound:.4g}{unit}" if self.bound is not None else ""
        return f"{self.name}: {self.value:.4g}{unit}{bound}"


Figures = Callable[[Evidence], Sequence[Figure]]
"""Computes the figures of a case."""


def no_figures(evidence: Evidence) -> Sequence[Figure]:
    """Of a case that measures nothing of its own."""
    del evidence
    return ()


def keeps_its_bounds(figures: Figures) -> Invariant:
    """Invariant: each of these figures is within its bound. A time beyond it is `Late`."""

    def keeps_its_bounds(evidence: Evidence) -> Iterator[str]:
        for figure in figures(evidence):
            if not figure.is_within:
                told = str(figure)
                yield Late(told) if figure.unit == SECONDS else told

    return Invariant("keeps_its_bounds", keeps_its_bounds)

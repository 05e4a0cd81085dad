"""What has room on a terminal: rows, what stands for those that have none, and remarks. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from chaos.plugin.view.rows import Row

SMALLEST = (60, 10)
"""Columns and lines below which nothing useful fits."""

_WIDE = 110
"""Columns from which on there is room for a fault beside the stage; else it takes its place."""

_KEPT_FREE = 2
"""Lines: pytest's own above the frame, and one below it for the cursor, and for who types."""

_ALWAYS = 2
"""Lines: the head and the total."""

_AIR = 3
"""Lines: one below the head, one on each side of the total."""

_FEWEST_REMARKS, _MOST_REMARKS = 2, 6


class Kind(StrEnum):
    """What rows have in common that one line stands for."""

    PASSED = "passed"
    WAITING = "waiting"
    MORE = "more"


@dataclass(frozen=True)
class Fold:
    """A line for several rows."""

    kind: Kind
    rows: Sequence[Row]


@dataclass(frozen=True)
class Layout:
    """What is drawn. `is_airy`: with lines between its parts; `is_wide`: with all columns."""

    rows: Sequence[Row]
    folds: Sequence[Fold]
    remarks: int
    is_airy: bool
    is_wide: bool


def layout(rows: Sequence[Row], remarks: int, width: int, height: int) -> Layout:
    """Rows first, then air, then remarks, of which there are so many."""
    room = height - _KEPT_FREE - _ALWAYS
    least = min(remarks, _FEWEST_REMARKS)
    shown, folds = _folded(rows, max(1, room - least))
    left = max(0, room - len(shown) - len(folds))
    is_airy = left - least >= _AIR
    return Layout(
        rows=shown,
        folds=folds,
        remarks=min(remarks, _MOST_REMARKS, left - (_AIR if is_airy else 0)),
        is_airy=is_airy,
        is_wide=width >= _WIDE,
    )


_TELL_LEAST: Sequence[tuple[Kind, Callable[[Row], bool]]] = (
    (Kind.PASSED, lambda row: row.is_passed),
    (Kind.WAITING, lambda row: row.is_waiting),
)


def _folded(rows: Sequence[Row], room: int) -> tuple[Sequence[Row], Sequence[Fold]]:
    """As many rows as there is room for, in their order, and a line for each kind of the rest."""
    shown, folds = list(rows), list[Fold]()
    for kind, belongs in _TELL_LEAST:
        group = [row for row in shown if belongs(row)]
        if len(shown) + len(folds) > room and len(group) > 1:
            shown = [row for row in shown if not belongs(row)]
            folds.append(Fold(kind, group))
    if len(shown) + len(folds) <= room:
        return shown, folds
    if len(folds) >= room:
        shown, folds = list(rows), []
    kept = sorted(shown, key=lambda row: row.interest, reverse=True)[: room - len(folds) - 1]
    more = Fold(Kind.MORE, [row for row in shown if row not in kept])
    return [row for row in shown if row in kept], [*folds, more]

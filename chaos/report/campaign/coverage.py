"""What the cases of a campaign have covered, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from chaos.experiment.coverage import BETWEEN
from chaos.report.campaign.record import Covered
from chaos.report.coverage import WORKFLOW_TASK, Matrix, Row
from chaos.wire.boundary import Boundary, BoundaryError, Stage

_PARTS = ("fault", "at", "activity", "phase")


def matrices(covered: Sequence[Covered]) -> Iterator[Matrix]:
    """Of faults at activities, and of points at stages, each if it has anything."""
    for found, sentence in (
        (list(_faults(covered)), "Faults: what each type of activity was at, in how many cases."),
        (
            list(_points(covered)),
            "Points: which call was hit where, with proof, in how many cases.",
        ),
    ):
        if found:
            yield _matrix(found, sentence)


_Cell = tuple[str, str, str, str, int]
"""Fault, where, column, what, and in how many cases."""


def _faults(covered: Sequence[Covered]) -> Iterator[_Cell]:
    for each in covered:
        parts = each.cell.split("|")
        if len(parts) == len(_PARTS):
            fault, at, activity, phase = parts
            column = WORKFLOW_TASK if activity == BETWEEN else activity
            yield fault, at, column, phase, each.cases


def _points(covered: Sequence[Covered]) -> Iterator[_Cell]:
    found = []
    for each in covered:
        action, _, text = each.cell.partition(" at ")
        with suppress(BoundaryError):
            found.append((Boundary.parse(text), action, each.cases))
    for boundary, action, cases in sorted(found, key=lambda item: item[0].ordinal):
        where = f"{boundary.kind.words} {boundary.subject}".rstrip()
        yield action, where, str(boundary.stage), f"#{boundary.ordinal}", cases


def _matrix(found: Sequence[_Cell], sentence: str) -> Matrix:
    order = [str(stage) for stage in Stage]
    columns = sorted(
        {column for _, _, column, _, _ in found},
        key=lambda name: (order.index(name) if name in order else len(order), name),
    )
    rows = sorted({(fault, at) for fault, at, _, _, _ in found})
    return Matrix(
        columns,
        [
            Row(fault, at, [_cell(found, fault, at, column) for column in columns])
            for fault, at in rows
        ],
        sentence,
    )


def _cell(found: Sequence[_Cell], fault: str, at: str, column: str) -> Sequence[tuple[str, int]]:
    return [(what, times) for f, a, c, what, times in found if (f, a, c) == (fault, at, column)]

"""Which fault hit which activity, as a table: for the page, and in a line for the summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chaos.experiment.coverage import BETWEEN, Coverage
from chaos.experiment.results import RunResult
from chaos.report import markdown

WORKFLOW_TASK = "(workflow task)"
"""The column of workflows that had no activity open."""

Cell = Sequence[tuple[str, int]]
"""What an activity was at, and how often."""


@dataclass(frozen=True)
class Row:
    """A kind of fault at a kind of target, with a cell for each column."""

    fault: str
    at: str
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Matrix:
    """The table: a column for each type of activity, and one for none."""

    columns: Sequence[str]
    rows: Sequence[Row]
    sentence: str


def matrix(run: RunResult) -> Matrix | None:
    """That of a run; None where it had no fault, or an older version did not record it."""
    coverage = run.coverage
    combinations = (*coverage.hits, *coverage.never)
    named = sorted({(each.fault, each.at) for each in combinations})
    if not named:
        return None
    columns = [*coverage.activities]
    if any(hit.activity == BETWEEN for hit in coverage.hits):
        columns.append(BETWEEN)
    rows = [
        Row(fault, at, [_cell(coverage, fault, at, column) for column in columns])
        for fault, at in named
    ]
    return Matrix([column or WORKFLOW_TASK for column in columns], rows, _sentence(coverage))


def _cell(coverage: Coverage, fault: str, at: str, activity: str) -> Cell:
    wanted = (fault, at, activity)
    return [
        (str(hit.phase), hit.times)
        for hit in coverage.hits
        if (hit.fault, hit.at, hit.activity) == wanted
    ]


def _sentence(coverage: Coverage) -> str:
    faults = {(each.fault, each.at) for each in (*coverage.hits, *coverage.never)}
    hit = {(each.fault, each.at, each.activity) for each in coverage.hits if each.activity}
    total = len(hit) + len(coverage.never)
    kinds = f"{_counted(len(faults), 'fault')} and {_counted(len(coverage.activities), 'activity')}"
    return f"{len(hit)} of {_counted(total, 'combination')} of {kinds} were hit."


def _counted(count: int, noun: str) -> str:
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun.removesuffix('y')}ies" if noun.endswith("y") else f"{count} {noun}s"


def coverage_lines(run: RunResult) -> Iterator[str]:
    """The summary's line, with the combinations that were never hit folded below it."""
    found = matrix(run)
    if found is None:
        return
    never = [
        f"{markdown.escaped(f'{each.fault} at {each.at}')}: {markdown.code(each.activity)}"
        for each in run.coverage.never
    ]
    sentence = markdown.paragraph(found.sentence)
    rest = markdown.folded(f"Never hit: {len(never)}", markdown.bullets(never)) if never else ""
    yield f"{sentence}\n\n{rest}".rstrip()

"""What the page of a probe shows: a matrix with the worst first, and each cell's own timeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from chaos.invariants.verdict import Verdict
from chaos.report.again import Command
from chaos.report.html.chart import Chart, marks_chart
from chaos.report.html.values import Mark
from chaos.search.probe.record import Cell, Fate, Finding, Probe, TimelineEntry
from chaos.wire.boundary import Boundary, Kind, Stage

LANES = ("history", "process", "wire", "service")
_LANE_OF = {"kill": "process", "exit": "process", "start": "process", "hit": "wire"}


@dataclass(frozen=True)
class CellView:
    """One point: its place on the page, its verdict, what is drawn of it."""

    anchor: str
    cell: Cell
    verdict: Verdict
    title: str
    chart: Chart | None
    command: Command


@dataclass(frozen=True)
class RowView:
    """A row of the matrix: for each column the points that are in it."""

    title: str
    places: Sequence[Sequence[CellView]]


@dataclass(frozen=True)
class Problem:
    """What was found at several points alike."""

    fate: Fate
    text: str
    cells: Sequence[CellView]


@dataclass(frozen=True)
class ProbeView:
    """The whole page."""

    name: str
    probe: Probe
    verdict: Verdict
    headline: str
    columns: Sequence[str]
    rows: Sequence[RowView]
    cells: Sequence[CellView]
    problems: Sequence[Problem]
    remarks: Sequence[Problem]
    command: Command


def probe_view(name: str, probe: Probe) -> ProbeView:
    """All that the page shows of a probe."""
    views = [_cell(number, each) for number, each in enumerate(probe.worst_first, start=1)]
    columns = [s for s in Stage if any(s in _stages(view.cell) for view in views)]
    problems = list(_problems(views))
    bad = [each for each in problems if each.fate.is_bad]
    return ProbeView(
        name=name,
        probe=probe,
        verdict=_verdict_of(probe),
        headline=_headline(probe),
        columns=[str(stage) for stage in columns],
        rows=list(_rows(views, columns)),
        cells=views,
        problems=bad,
        remarks=[each for each in problems if not each.fate.is_bad],
        command=Command(probe.command, "repeats the whole probe"),
    )


def _verdict_of(probe: Probe) -> Verdict:
    if probe.is_fine:
        return Verdict.PASSED
    return Verdict.FAILED if any(cell.fate.is_bad for cell in probe.cells) else Verdict.UNKNOWN


def _headline(probe: Probe) -> str:
    bad = sum(cell.fate.is_bad for cell in probe.cells)
    if not probe.cells:
        return "Nothing was tried"
    if bad:
        return f"{probe.workflow} breaks at {bad} of {len(probe.cells)} points"
    if not probe.hit:
        return f"No point of {len(probe.cells)} was provably hit"
    return f"{probe.workflow} survives at {probe.hit} of {len(probe.cells)} points"


def _cell(number: int, cell: Cell) -> CellView:
    return CellView(
        anchor=f"point-{number}",
        cell=cell,
        verdict=_verdict(cell.fate),
        title=f"{_what(cell.boundary)}, {cell.boundary.stage}",
        chart=_chart(cell.timeline) if cell.timeline else None,
        command=Command(cell.command, "repeats only this point"),
    )


def _verdict(fate: Fate) -> Verdict:
    if fate.is_bad:
        return Verdict.FAILED
    return Verdict.PASSED if fate is Fate.SURVIVED else Verdict.UNKNOWN


def _what(boundary: Boundary) -> str:
    kind = "" if boundary.kind is Kind.ACTIVITY else f"{boundary.kind.words} "
    ordinal = f" #{boundary.ordinal}" if boundary.ordinal > 1 else ""
    return f"{kind}{boundary.subject}{ordinal}"


def _stages(cell: Cell) -> set[Stage]:
    return {boundary.stage for boundary in (cell.boundary, *cell.also)}


def _rows(views: Sequence[CellView], columns: Sequence[Stage]) -> Iterator[RowView]:
    """The row of the worst point first; a point at several boundaries is in the row of each."""
    seen: dict[str, list[tuple[Stage, CellView]]] = {}
    for view in views:
        for boundary in (view.cell.boundary, *view.cell.also):
            whose = "" if view.cell.is_own else " of a child"
            where = f" ({view.cell.service})" if view.cell.service else ""
            row = seen.setdefault(f"{_what(boundary)}{where}{whose}", [])
            row.append((boundary.stage, view))
    for title, places in seen.items():
        yield RowView(title, [[v for stage, v in places if stage is column] for column in columns])


def _problems(views: Sequence[CellView]) -> Iterator[Problem]:
    """The findings, the worst first; the same finding at several points once."""
    found = [
        (finding, view)
        for view in views
        for finding in view.cell.findings
        if finding.fate is not Fate.SURVIVED
    ]
    found.sort(key=lambda each: (each[0].fate.gravity, each[0].text))
    for (fate, text), same in groupby(found, key=lambda each: _key(each[0])):
        yield Problem(fate, text, [view for _, view in same])


def _key(finding: Finding) -> tuple[Fate, str]:
    return finding.fate, finding.text


def _chart(timeline: Sequence[TimelineEntry]) -> Chart:
    lanes: dict[str, list[Mark]] = {name: [] for name in LANES}
    for each in timeline:
        mark = Mark(each.seconds, each.mark, f"{each.seconds:+.2f} s: {each.text}")
        lanes[_LANE_OF.get(each.mark, each.mark)].append(mark)
    return marks_chart(lanes, "Timeline around the disturbance")

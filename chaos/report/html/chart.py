"""Where everything of a timeline is drawn: across in percent, so that it fits any width."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from chaos.report.html.values import Mark, Row, Span, Timeline
from chaos.report.table import exact

SHOWN = 12
"""Workflows with a row of their own; of more than that the others are folded, and drawn small."""

MOST_SMALL = 200
"""Of these, how many are drawn at all."""

_NARROWEST_PX = 600
"""The least width of a plot: what fits there fits everywhere."""

_LETTER_PX = 6.3
_BAR, _GAP = 16, 4
_LEAST = 0.3
"""Percent: a bar that is no wider is still seen."""

_TOGETHER = 1.6
"""Percent: marks of what was paid that are nearer than that are drawn as one."""

_AT_ONCE = 0.5
"""Seconds within which faults of one kind are one fault."""

_TOUCH = 0.001
"""Seconds: one that begins when another ends is not beside it."""

_LINES = frozenset({"wait", "unnoticed", "life"})
_TINTS = 6
_MOST_BANDS = 8
"""More faults at once would be a band over everything."""


@dataclass(frozen=True)
class Drawn:
    """A bar, a line, a mark or a word, `x` and `width` in percent, `y` in pixels within its row."""

    shape: str
    kind: str
    x: float
    y: float
    width: float = 0.0
    text: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Lane:
    """A row of the chart: its name stands beside it."""

    name: str
    group: str
    y: float
    height: float
    items: tuple[Drawn, ...]
    status: str = ""


@dataclass(frozen=True)
class Chart:
    """A whole drawing, and what stands in its legend: the `kinds` of activities and all `looks`.

    `bands` are behind all lanes, where there was any fault, and `hits` where one began; `words` is
    a sentence for screen readers. `ticks` are places on the axis with their labels.
    """

    lanes: tuple[Lane, ...]
    words: str
    ticks: tuple[tuple[float, str], ...]
    hits: tuple[float, ...]
    bands: tuple[Drawn, ...] = ()
    kinds: tuple[str, ...] = ()
    small: bool = False

    @property
    def height(self) -> float:
        """In pixels, without the axis."""
        return sum(lane.height for lane in self.lanes)

    @property
    def looks(self) -> frozenset[str]:
        """How anything in it looks."""
        return frozenset(item.kind for lane in self.lanes for item in lane.items)


@dataclass(frozen=True)
class _Scale:
    first: float
    last: float

    def x(self, seconds: float) -> float:
        share = (seconds - self.first) / max(0.001, self.last - self.first)
        return round(min(1.0, max(0.0, share)) * 100, 2)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Whole steps of 1, 2 or 5 that leave room for six words or more."""
        length = max(0.001, self.last - self.first)
        steps = [n * 10**e for e in range(-1, 5) for n in (1, 2, 5)]
        step = next((s for s in steps if length / s <= 10), steps[-1])
        for number in range(math.floor(self.first / step) + 1, math.ceil(self.last / step - 0.3)):
            at = number * step
            yield self.x(at), f"{at:+g} s" if self.first < 0 else f"{at:g} s"


def charts(timeline: Timeline) -> tuple[Chart, Chart | None]:
    """The drawing of a case, and the small one of the workflows that have no room in it."""
    scale = _Scale(timeline.first, timeline.last)
    chosen = sorted(timeline.workflows, key=lambda row: -row.interest)[:SHOWN]
    shown = [row for row in timeline.workflows if row in chosen]
    others = [row for row in timeline.workflows if row not in chosen]
    return (
        _chart(timeline, scale, shown, small=False),
        _chart(timeline, scale, others[:MOST_SMALL], small=True) if others else None,
    )


def marks_chart(lanes: Mapping[str, Sequence[Mark]], words: str) -> Chart:
    """A lane of marks for each name, by their seconds from a hit at 0."""
    times = [mark.at for marks in lanes.values() for mark in marks]
    first, last = min(0.0, *times), max(0.1, *times)
    margin = (last - first) * 0.02
    scale = _Scale(first - margin, last + margin)
    height = 26.0
    made = [
        Lane(name, "process", number * height, height, tuple(_mark(m, scale, 13) for m in marks))
        for number, (name, marks) in enumerate(lanes.items())
    ]
    return Chart(tuple(made), words, tuple(scale.ticks()), hits=(scale.x(0.0),))


def _chart(timeline: Timeline, scale: _Scale, rows: Sequence[Row], *, small: bool) -> Chart:
    lanes: list[Lane] = []
    y = 0.0
    for lane in _lanes(timeline, scale, rows, small=small):
        lanes.append(Lane(lane.name, lane.group, y, lane.height, lane.items, lane.status))
        y += lane.height
    bands = [
        Drawn("band", "fault", scale.x(fault.start), 0, scale.x(fault.end) - scale.x(fault.start))
        for fault in timeline.faults
    ]
    return Chart(
        lanes=tuple(lanes),
        words=_words(timeline, rows),
        ticks=tuple(scale.ticks()),
        hits=tuple(dict.fromkeys(scale.x(fault.start) for fault in timeline.faults)),
        bands=tuple(bands if len(bands) <= _MOST_BANDS else ()),
        kinds=timeline.kinds,
        small=small,
    )


def _words(timeline: Timeline, rows: Sequence[Row]) -> str:
    faults = ", ".join(f"{f.label} at {f.start:.1f} s" for f in timeline.faults[:5])
    return (
        f"Timeline of {timeline.last:.1f} s: {len(rows)} workflows, "
        f"{len(timeline.faults)} faults{f' ({faults})' if faults else ''}. "
        "The list below has the same content."
    )


def _lanes(
    timeline: Timeline, scale: _Scale, rows: Sequence[Row], *, small: bool
) -> Iterator[Lane]:
    tint = {kind: f"k{number % _TINTS}" for number, kind in enumerate(timeline.kinds)}
    if small:
        for row in rows:
            yield _small_lane(row, scale, tint)
        return
    if timeline.faults:
        yield _fault_lane(timeline.faults, scale)
    for row in timeline.processes:
        yield _process_lane(row, scale)
    for row in rows:
        yield _workflow_lane(row, scale, tint)


def _fault_lane(faults: Sequence[Span], scale: _Scale) -> Lane:
    """Bars with their names; those that would lie upon each other get a line each."""
    free: list[float] = []
    items: list[Drawn] = []
    for fault in _joined(faults):
        start, end = scale.x(fault.start), scale.x(fault.end)
        word = _wide(fault.label)
        place, anchor, reach = start, "in", (start, end)
        if word > end - start and end + word <= 100:
            place, anchor, reach = end, "", (start, end + word)
        elif word > end - start:
            place, anchor, reach = start, "end", (start - word, end)
        line = next((n for n, until in enumerate(free) if until <= reach[0]), len(free))
        free[line : line + 1] = [reach[1] + 1]
        y = line * (_BAR + _GAP) + _GAP
        items.append(Drawn("bar", "fault", start, y, max(_LEAST, end - start), detail=fault.detail))
        items.append(Drawn("word", anchor, place, y, text=fault.label))
    return Lane("Faults", "fault", 0, len(free) * (_BAR + _GAP) + _GAP, tuple(items))


def _joined(faults: Sequence[Span]) -> Iterator[Span]:
    """Those of one kind that come and go together, such as two workers killed at once, as one."""
    groups: list[list[Span]] = []
    for fault in faults:
        like = (g for g in groups if _as_one(g[0], fault))
        if group := next(like, None):
            group.append(fault)
        else:
            groups.append([fault])
    for group in groups:
        first = group[0]
        many = f" ({len(group)} times)" if len(group) > 1 else ""
        yield replace(first, label=f"{first.label}{many}", detail=f"{first.detail}{many}")


def _as_one(fault: Span, other: Span) -> bool:
    near = abs(fault.start - other.start) < _AT_ONCE and abs(fault.end - other.end) < _AT_ONCE
    return near and fault.label == other.label


def _process_lane(row: Row, scale: _Scale) -> Lane:
    y = 10.0
    items = [
        _bar(span, span.kind, scale, y)
        for strand in row.strands
        for span in strand
        if span.end >= scale.first
    ]
    hits = [scale.x(mark.at) for mark in row.marks if mark.kind in {"kill", "hit", "signal"}]
    items += [
        _mark(mark, scale, y)
        for mark in row.marks
        if mark.at >= scale.first and not _is_hidden(mark, scale, hits)
    ]
    return Lane(row.name, "process", 0, 20, tuple(items))


def _mark(mark: Mark, scale: _Scale, y: float) -> Drawn:
    return Drawn("mark", mark.kind, scale.x(mark.at), y, detail=mark.detail)


def _is_hidden(mark: Mark, scale: _Scale, hits: Sequence[float]) -> bool:
    """The end of a process lies below the hit that it follows at once."""
    x = scale.x(mark.at)
    return mark.kind == "exit" and any(0 <= x - hit < _TOGETHER for hit in hits)


def _workflow_lane(row: Row, scale: _Scale, tint: dict[str, str]) -> Lane:
    """Activities that are at work together lie below each other, what was paid below them all."""
    items: list[Drawn] = []
    lines = _lines_of(row.strands)
    for line, strand in zip(lines, row.strands, strict=True):
        y = line * (_BAR + 2) + _GAP
        for span in strand:
            bar = _bar(span, tint.get(span.kind, span.kind), scale, y)
            if bar.shape == "line" and bar.width < _LEAST:
                continue
            items.append(bar)
            if span.label and _wide(span.label) <= bar.width:
                look = "in" if span.kind in tint else "in over"
                items.append(Drawn("word", look, bar.x, y, text=span.label.replace("_", " ")))
    depth = (max(lines, default=0) + 1) * (_BAR + 2) + _GAP
    life = [_bar(row.life, "life", scale, depth - 1)] if row.life else []
    if row.life is None:
        items.append(Drawn("word", "in", 0, _GAP, text="its history was not saved"))
    coins = _coins(row.marks, scale, depth + 7)
    height = depth + (18 if coins else 4)
    return Lane(row.name, "workflow", 0, height, (*life, *items, *coins), row.status)


def _lines_of(strands: Sequence[Sequence[Span]]) -> list[int]:
    """For each strand the first line on which nothing else is at that time."""
    free: list[float] = []
    found: list[int] = []
    for strand in strands:
        begin, end = (strand[0].start, strand[-1].end) if strand else (0.0, 0.0)
        line = next((n for n, until in enumerate(free) if until <= begin + _TOUCH), len(free))
        free[line : line + 1] = [end]
        found.append(line)
    return found


def _small_lane(row: Row, scale: _Scale, tint: dict[str, str]) -> Lane:
    bars = [
        _bar(span, tint.get(span.kind, span.kind), scale, 2)
        for strand in row.strands
        for span in strand
    ]
    items = [replace(bar, detail="") for bar in bars if bar.width >= _LEAST]
    return Lane(row.name, "workflow", 0, 14, tuple(items), row.status)


def _bar(span: Span, kind: str, scale: _Scale, y: float) -> Drawn:
    start = scale.x(span.start)
    width = round(scale.x(span.end) - start, 2)
    if span.kind in _LINES:
        return Drawn("line", kind, start, y, width, detail=span.detail)
    return Drawn("bar", kind, start, y, max(_LEAST, width), detail=span.detail)


def _coins(marks: Sequence[Mark], scale: _Scale, y: float) -> list[Drawn]:
    """What was paid, with its price where there is room for it."""
    heaps: list[list[Mark]] = []
    for mark in sorted(marks, key=lambda mark: mark.at):
        near = heaps and scale.x(mark.at) - scale.x(heaps[-1][0].at) < _TOGETHER
        if near:
            heaps[-1].append(mark)
        else:
            heaps.append([mark])
    items: list[Drawn] = []
    for heap, following in zip(heaps, [*heaps[1:], None], strict=False):
        x = scale.x(heap[0].at)
        detail = "\n".join(mark.detail for mark in heap)
        items.append(Drawn("mark", _gravest(heap), x, y, detail=detail))
        text = exact(sum((m.amount_usd or Decimal(0) for m in heap), Decimal(0)))
        end = scale.x(following[0].at) if following else 104
        if x + _wide(text) + 1.4 <= end:
            items.append(Drawn("price", "", x, y, text=text))
    return items


def _gravest(heap: Sequence[Mark]) -> str:
    kinds = {mark.kind for mark in heap}
    return next(kind for kind in ("twice", "doubt", "paid") if kind in kinds)


def _wide(text: str) -> float:
    """Percent of the narrowest plot that a word takes."""
    return (len(text) * _LETTER_PX + 10) / _NARROWEST_PX * 100

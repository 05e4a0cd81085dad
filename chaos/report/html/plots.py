"""Small plots below each other, on the time axis of the timeline: where each line is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chaos.report.html.chart import Chart
from chaos.report.html.series import Line, Measures
from chaos.report.html.values import Timeline

LEAST_HEIGHT = 58
"""Of a plot, in pixels; one of many lines is as high as their names beside it."""

_NAME = 14
"""Of each of these."""

WIDTH = 1000
"""Across, in units of its own, which are stretched to any width."""

_COUNTED = frozenset({"tasks", "slots", "workflows", "polls", "cores"})
_LEAST = 1e-9
_LARGE = 1e6


@dataclass(frozen=True)
class Curve:
    """A line, as the commands of an SVG path, and dots, as places: of points that are alone."""

    name: str
    look: str
    path: str = ""
    dots: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Plot:
    """One plot: `top` is what its upper edge stands for, in words, as is all in `words`."""

    title: str
    top: str
    curves: tuple[Curve, ...]
    words: str
    height: int = LEAST_HEIGHT
    hidden: int = 0


@dataclass(frozen=True)
class Plots:
    """All plots of a case, with the ticks and faults of its timeline."""

    plots: tuple[Plot, ...]
    chart: Chart


@dataclass(frozen=True)
class _Frame:
    """What the edges of a plot stand for; 0 is its lower one."""

    first: float
    last: float
    top: float
    height: int

    def place(self, at: float, value: float) -> tuple[float, float] | None:
        """Of a point; None outside of the time that is shown."""
        if not self.first <= at <= self.last:
            return None
        x = (at - self.first) / max(self.last - self.first, 0.001) * WIDTH
        share = min(1.0, max(0.0, value / self.top))
        return round(x, 1), round(self.height - 3 - share * (self.height - 17), 1)


def plots(found: Sequence[Measures], timeline: Timeline, chart: Chart) -> Plots | None:
    """The drawing; None where there is nothing to draw."""
    drawn = tuple(_plot(each, timeline.first, timeline.last) for each in found)
    return Plots(drawn, chart) if drawn else None


def _plot(found: Measures, first: float, last: float) -> Plot:
    top = max((line.top for line in found.lines), default=0.0)
    scale = max(top, _LEAST)
    unit = found.unit[:-1] if top == 1 and found.unit in _COUNTED else found.unit
    names = len(found.lines) + bool(found.hidden)
    frame = _Frame(first, last, scale, max(LEAST_HEIGHT, 22 + _NAME * names))
    curves = tuple(_curve(line, f"p{number}", frame) for number, line in enumerate(found.lines))
    highest = "; ".join(f"{line.name} up to {_short(line.top)}" for line in found.lines)
    return Plot(
        title=found.title,
        top=f"{_short(top)} {unit}",
        curves=curves,
        words=f"{found.title} in {found.unit}: {highest}.",
        height=frame.height,
        hidden=found.hidden,
    )


def _curve(line: Line, look: str, frame: _Frame) -> Curve:
    places = [None if value is None else frame.place(at, value) for at, value in line.points]
    if line.shape == "dots":
        known = (place for place in places if place)
        return Curve(line.name, look, dots=tuple((x / WIDTH * 100, y) for x, y in known))
    commands: list[str] = []
    dots: list[tuple[float, float]] = []
    for before, place, after in zip([None, *places], places, [*places[1:], None], strict=False):
        if place is None:
            continue
        if before is None and after is None:
            dots.append((place[0] / WIDTH * 100, place[1]))
        elif before and line.shape == "steps":
            commands.append(f"H{place[0]:g}V{place[1]:g}")
        else:
            commands.append(f"{'L' if before else 'M'}{place[0]:g} {place[1]:g}")
    return Curve(line.name, look, path="".join(commands), dots=tuple(dots))


def _short(value: float) -> str:
    """A figure with the two digits that count, or all that are whole."""
    return f"{value:.0f}" if 10 <= abs(value) < _LARGE else f"{value:.2g}"

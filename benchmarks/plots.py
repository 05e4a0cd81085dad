"""What all plots share: marks for spread and ideal, and SVG for a page that is light or dark."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from benchmarks.figures import Quantity

SERIES = ("#3b82f6", "#f97316", "#10b981", "#a855f7", "#ef4444", "#64748b")
"""Colours that can be told from each other, and from a white and from a black page."""

_INK = "#123456"
"""Stands for the colour of the page's text, which matplotlib has no name for."""

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _INK,
    "grid.alpha": 0.15,
    "legend.frameon": False,
    "savefig.transparent": True,
}


def styled(
    width: float, height: float, columns: int = 1, width_ratios: Sequence[float] | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure of so many inches with axes side by side, in the style that `svg` expects."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        found = figure.subplots(1, columns, squeeze=False, width_ratios=width_ratios)
        axes = list(found[0])
    for one in axes:
        one.grid(visible=True, which="major")
        one.set_axisbelow(True)
    return figure, axes


def interval(axes: Axes, place: float, quantity: Quantity, series: int, label: str = "") -> None:
    """A quantity at a place of the y axis: each value, their range and their median."""
    colour = SERIES[series]
    values = quantity.values
    axes.plot([min(values), max(values)], [place, place], color=colour, linewidth=2, alpha=0.6)
    axes.plot(values, [place] * len(values), "o", color=colour, alpha=0.4, markersize=4)
    middle = quantity.median
    axes.plot([middle], [place], "|", color=colour, markersize=12, markeredgewidth=2.5, label=label)


def line(
    axes: Axes, places: Sequence[float], quantities: Sequence[Quantity], series: int, label: str
) -> None:
    """Medians over the x axis, with bars from the least to the most."""
    middles = [quantity.median for quantity in quantities]
    below = [m - min(q.values) for m, q in zip(middles, quantities, strict=True)]
    above = [max(q.values) - m for m, q in zip(middles, quantities, strict=True)]
    axes.errorbar(
        places,
        middles,
        yerr=[below, above],
        color=SERIES[series],
        marker="o",
        markersize=4,
        capsize=3,
        linewidth=1.5,
        label=label,
    )


def ideal(axes: Axes, places: Sequence[float], values: Sequence[float], label: str) -> None:
    """What could not be better, as a dashed line."""
    axes.plot(places, values, "--", color=_INK, linewidth=1.2, alpha=0.8, label=label)


def rows(axes: Axes, names: Sequence[str]) -> None:
    """One place of the y axis for each name, from the bottom up."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.grid(visible=False, axis="y")


def logarithmic(axes: Axes) -> None:
    """An x axis of powers of ten, with plain numbers at one, two and five of each."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def legend(figure: Figure, columns: int) -> None:
    """Above all axes, where it hides nothing; a label is named once."""
    once = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        once.update(dict(zip(labels, handles, strict=True)))
    with rc_context(_STYLE):
        figure.legend(once.values(), once.keys(), loc="outside upper left", ncols=columns)


def svg(figure: Figure, name: str) -> str:
    """The figure as an element for a page. Its ids begin with `name`: a page may hold several."""
    out = io.StringIO()
    with rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return embedded(out.getvalue(), name)


def embedded(text: str, name: str) -> str:
    """An SVG file's text as a part of a page."""
    element = text[text.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>\s*", "", element, flags=re.DOTALL)
    element = re.sub(r'\bid="', f'id="{name}-', element)
    element = re.sub(r'href="#', f'href="#{name}-', element)
    element = re.sub(r"url\(#", f"url(#{name}-", element)
    # Its size is that of the page's column, and its proportions are kept.
    element = re.sub(r'(<svg[^>]*?) width="[\d.]+pt"', r"\1", element, count=1)
    element = re.sub(r'(<svg[^>]*?) height="[\d.]+pt"', r"\1", element, count=1)
    return element.replace(_INK, "currentColor").strip()

"""What a probe has found, for a terminal and as Markdown: `probe.md`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chaos.evidence.files import write_file
from chaos.report.html.page import document, render
from chaos.report.html.probe import probe_view
from chaos.report.markdown import bullets, code, escaped, paragraph, table
from chaos.report.table import aligned
from chaos.search.probe.record import Cell, Fate, Probe, save_probe
from chaos.wire.boundary import numbered

PAGE = "index.html"
MARKDOWN = "probe.md"

HEAD = ("What", "Boundary", "Action", "Became", "Recovered", "Why")

_MOST_SHOWN = 12
"""Cells of a terminal's table; the page has all."""


def write_reports(folder: Path, probe: Probe) -> Path:
    """Write all three, each whole or not at all; the page's path."""
    save_probe(folder, probe)
    write_file(folder / MARKDOWN, markdown(probe))
    page = folder / PAGE
    write_file(page, html(folder.name, probe))
    return page


def html(name: str, probe: Probe) -> str:
    """One page that needs no network."""
    view = probe_view(name, probe)
    return document(f"{view.headline}: {name}", render("probe.html", view=view))


def terminal_lines(probe: Probe) -> Sequence[str]:
    """A table with the worst first, and the totals."""
    bad = [cell for cell in probe.worst_first if cell.fate is not Fate.SURVIVED]
    rows = [cells(cell) for cell in bad[:_MOST_SHOWN]]
    more = len(bad) - len(rows)
    return [
        *(aligned([HEAD, *rows]) if rows else []),
        *([f"and {more} more, on the page"] if more > 0 else []),
        *total_lines(probe),
    ]


def total_lines(probe: Probe) -> Sequence[str]:
    """How much was tried, and what came of it."""
    counts = ", ".join(
        f"{number} {fate}" for fate, number in sorted(probe.fates.items(), key=_gravity)
    )
    tried = f"{len(probe.cells)} of {probe.chosen} points tried"
    if probe.chosen < probe.found:
        tried += f" (of {probe.found} found)"
    return [
        f"{tried}, {probe.hit} hit, in {probe.seconds:.0f} s: {counts or 'nothing was tried'}.",
        *([f"It ended early: {probe.ended}"] if probe.ended else []),
        *probe.remarks,
    ]


def _gravity(item: tuple[Fate, int]) -> int:
    return item[0].gravity


def cells(cell: Cell) -> Sequence[str]:
    """A row of the table."""
    recovered = "-" if cell.recovered_seconds is None else f"{cell.recovered_seconds:.1f} s"
    if cell.recovered_seconds is not None and cell.bound_seconds is not None:
        recovered += f" of {cell.bound_seconds:.1f} s"
    boundary = cell.boundary
    return (
        f"{boundary.kind.words} {numbered(boundary.subject, boundary.ordinal)}",
        str(boundary.stage),
        cell.action,
        str(cell.fate),
        recovered,
        "; ".join(finding.text for finding in cell.findings),
    )


def markdown(probe: Probe) -> str:
    """The totals, a row for each point, and the commands that repeat what is bad."""
    rows = [[escaped(text) for text in cells(cell)] for cell in probe.worst_first]
    parts = [
        f"# Probe of {escaped(probe.workflow)}",
        "\n".join(map(paragraph, total_lines(probe))),
        f"Repeat the probe: {code(probe.command)}",
        table(HEAD, rows),
    ]
    again = [
        f"{escaped(str(cell.fate))} at {escaped(str(cell.boundary))}: {code(cell.command)}"
        for cell in probe.worst_first
        if cell.fate.is_bad
    ]
    if again:
        parts += ["Repeat one:", bullets(again)]
    return "\n\n".join(parts) + "\n"

"""A report for people: Markdown, and one self-contained page with the plots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from matplotlib.figure import Figure

from benchmarks import plots
from benchmarks.figures import COUNT, RATIO, Benchmark, Quantity, Report, Row, Table
from chaos.report.html import document

TITLE = "Benchmarks"

_STYLE = """<style>
.bench svg { width: 100%; height: auto; max-width: 62rem; display: block; margin: 0.5rem 0; }
.bench svg text { font-family: system-ui, sans-serif; }
.bench .wide { overflow-x: auto; }
.bench table { border-collapse: collapse; width: auto; margin: 0.5rem 0; }
.bench caption { text-align: left; font-weight: 600; padding: 0.3rem 0; }
.bench th, .bench td { padding: 0.2rem 0.6rem;
  border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); }
.bench td { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.bench td.remark { text-align: left; white-space: normal; }
.bench th { text-align: left; white-space: nowrap; }
.bench th[scope=col] { text-align: right; }
.bench small, .bench caption { opacity: 0.85; }
.bench ul { padding-left: 1.2rem; }
.bench section { margin-top: 2rem; }
</style>"""


def text(quantity: Quantity) -> str:
    """The median with its unit and, of several, the range."""
    low, high = min(quantity.values), max(quantity.values)
    unit = quantity.unit if quantity.unit in {RATIO, COUNT} else f" {quantity.unit}"
    middle = f"{_number(quantity.median)}{unit}"
    return middle if low == high else f"{middle} ({_number(low)} to {_number(high)})"


def _number(value: float) -> str:
    """Three digits that tell something, without an exponent."""
    if value == 0 or abs(value) >= 100 or value == int(value):
        return f"{value:.0f}"
    return (
        f"{value:.1f}"
        if abs(value) >= 10
        else f"{value:.2f}"
        if abs(value) >= 1
        else f"{value:.3f}"
    )


def machine_line(report: Report) -> str:
    """One sentence on where the figures come from."""
    machine = report.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    return (
        f"{report.started_at:%Y-%m-%d %H:%M} UTC, {machine.cpus} cores, "
        f"{machine.memory_gb:g} GB, {machine.system}; {versions}."
    )


def load_line(benchmark: Benchmark) -> str:
    """How long it took, and how busy the machine was."""
    return (
        f"{benchmark.duration_s:.0f} s; load average {benchmark.load_before.one:g} before, "
        f"{benchmark.load_after.one:g} after."
    )


def markdown(report: Report) -> str:
    """All tables and notes."""
    return "\n".join(_markdown_lines(report)) + "\n"


def _markdown_lines(report: Report) -> Iterator[str]:
    yield from (f"# {TITLE}", "", machine_line(report))
    yield from ("", "Each figure is a median, with the least and the most in parentheses.")
    for benchmark in report.benchmarks:
        yield from ("", f"## {benchmark.title}", "", benchmark.question, "")
        yield load_line(benchmark)
        for table in benchmark.found.tables:
            yield ""
            yield from markdown_table(table)
        if benchmark.conclusion:
            yield from ("", benchmark.conclusion)
        if benchmark.found.notes:
            yield ""
            yield from (f"- {note}" for note in benchmark.found.notes)


def markdown_table(table: Table) -> Iterator[str]:
    """Its title, and a line for each row."""
    remarks = any(row.remark for row in table.rows)
    columns = [*table.columns, *(["remark"] if remarks else [])]
    yield from (f"**{table.title}**", "")
    yield f"| | {' | '.join(columns)} |"
    yield f"|---|{'---:|' * len(table.columns)}{'---|' if remarks else ''}"
    for row in table.rows:
        cells = [_cell(row, column) for column in table.columns]
        yield f"| {row.name} | {' | '.join([*cells, *([row.remark] if remarks else [])])} |"


def _cell(row: Row, column: str) -> str:
    return text(row.cells[column]) if column in row.cells else "-"


def page(report: Report, figures: Mapping[str, Figure]) -> str:
    """The whole page; `figures` by the benchmarks' names."""
    return document(TITLE, "\n".join(_page_lines(report, figures)))


def _page_lines(report: Report, figures: Mapping[str, Figure]) -> Iterator[str]:
    yield _STYLE
    yield f'<div class="bench"><h1>{TITLE}</h1><p>{escape(machine_line(report))}</p>'
    yield "<p>Each figure is a median, with the least and the most in parentheses.</p>"
    for benchmark in report.benchmarks:
        yield f'<section id="{benchmark.name}"><h2>{escape(benchmark.title)}</h2>'
        yield f"<p>{escape(benchmark.question)} <small>{escape(load_line(benchmark))}</small></p>"
        if benchmark.name in figures:
            yield plots.svg(figures[benchmark.name], benchmark.name)
        for table in benchmark.found.tables:
            yield from _html_table(table)
        if benchmark.conclusion:
            yield f"<p><strong>{escape(benchmark.conclusion)}</strong></p>"
        if benchmark.found.notes:
            notes = "".join(f"<li>{escape(note)}</li>" for note in benchmark.found.notes)
            yield f"<ul>{notes}</ul>"
        yield "</section>"
    yield "</div>"


def _html_table(table: Table) -> Iterator[str]:
    head = "".join(f"<th scope=col>{escape(column)}</th>" for column in ("", *table.columns))
    yield f"<div class=wide><table><caption>{escape(table.title)}</caption><tr>{head}</tr>"
    for row in table.rows:
        cells = "".join(f"<td>{escape(_cell(row, column))}</td>" for column in table.columns)
        remark = f"<td class=remark>{escape(row.remark)}</td>" if row.remark else ""
        yield f"<tr><th scope=row>{escape(row.name)}</th>{cells}{remark}</tr>"
    yield "</table></div>"

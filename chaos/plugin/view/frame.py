"""One frame of the live view: from a state and the size of a terminal to what Rich draws."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from chaos.evidence.text import plain
from chaos.invariants.verdict import Verdict
from chaos.plugin.view.layout import Fold, Kind, Layout, layout
from chaos.plugin.view.rows import Row, rows_of, total_of
from chaos.plugin.view.state import Remark, State
from chaos.report.table import usd

_LONGEST_NAME = 24
_PID = re.compile(r" \(pid \d+\)")

_SIGNS = {
    Verdict.PASSED: ("✓", "green"),
    Verdict.FAILED: ("✗", "bold red"),
    Verdict.UNKNOWN: ("?", "bold magenta"),
}
_RUNNING, _WAITING = ("●", "cyan"), ("○", "dim")
_FOLDS = {Kind.PASSED: _SIGNS[Verdict.PASSED], Kind.WAITING: _WAITING, Kind.MORE: _RUNNING}


def frame(state: State, now_seconds: float, width: int, height: int) -> RenderableType:
    """Rows, what was folded, the total and the newest remarks; never more lines than there are."""
    rows = rows_of(state)
    plan = layout(rows, len(state.remarks), width, height)
    remarks = state.remarks[len(state.remarks) - plan.remarks :]
    return Group(
        *([_table(plan, now_seconds)] if rows else []),
        *(_fold(fold) for fold in plan.folds),
        *([Text("")] if plan.is_airy and rows else []),
        _total(rows, plan, now_seconds),
        *([Text("")] if plan.is_airy and remarks else []),
        *(_remark(remark, width) for remark in remarks),
        # The cursor rests on a line of its own.
        Text(""),
    )


def _fold(fold: Fold) -> Text:
    sign, style = _FOLDS[fold.kind]
    line = _text("", "")
    line.append(sign, style).append(f" {len(fold.rows)} {fold.kind}", style)
    return line.append(f"  {plain(', '.join(row.name for row in fold.rows))}", "dim")


def _table(plan: Layout, now_seconds: float) -> Table:
    table = _bare(plan, with_head=True)
    longest = max((len(row.name) for row in plan.rows), default=0)
    has_cases = any(row.cases for row in plan.rows)
    table.add_column("  Scenario", width=2 + max(8, min(longest, _LONGEST_NAME)))
    if has_cases:
        table.add_column("Cases", justify="right", width=5)
    table.add_column("Stage" if plan.is_wide else "Stage, or fault", ratio=5, no_wrap=True)
    if plan.is_wide:
        table.add_column("Fault", ratio=4)
    table.add_column("For", justify="right", width=5)
    _add_figures(table)
    for row in plan.rows:
        cases = [Text(row.cases, "dim")] if has_cases else []
        middle = (_stage(row), _fault(row)) if plan.is_wide else (_fault(row) or _stage(row),)
        table.add_row(_name(row), *cases, *middle, *_figures(row, now_seconds))
    return table


def _bare(plan: Layout, *, with_head: bool) -> Table:
    """A table without columns, so that those of two stand below each other."""
    return Table(
        box=SIMPLE_HEAD if plan.is_airy else None,
        show_header=with_head,
        show_edge=False,
        expand=True,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        header_style="bold",
    )


def _add_figures(table: Table) -> None:
    """The columns that the total has as well; as wide as the total may get."""
    table.add_column("Done", justify="right", min_width=7)
    table.add_column("Billed", justify="right", min_width=7)
    table.add_column("Time", justify="right", min_width=5)


def _name(row: Row) -> Text:
    line = _text("", "")
    line.append(*_sign(row))
    return line.append(f" {plain(row.name)}", "dim" if row.is_waiting else "")


def _stage(row: Row) -> Text:
    style = _sign(row)[1] if row.verdict or row.is_waiting else ""
    return _text(_PID.sub("", row.now), style)


def _figures(row: Row, now_seconds: float) -> Sequence[Text]:
    return (
        Text(clock(now_seconds - row.fault.since_seconds) if row.fault else "", "yellow"),
        _done(row.ended, row.workflows, "dim" if row.is_waiting else ""),
        Text(usd(row.billed_usd) if row.billed_usd else ""),
        Text(_time(row, now_seconds), "dim" if not row.is_open else ""),
    )


def _done(ended: int, workflows: int, style: str) -> Text:
    return Text(f"{ended}/{workflows}" if workflows else "", style)


def _fault(row: Row) -> Text:
    if row.fault is None:
        return Text("")
    more = f" +{row.more_faults}" if row.more_faults else ""
    return _text(f"{row.fault.kind} at {row.fault.target}{more}", "yellow")


def _sign(row: Row) -> tuple[str, str]:
    if row.verdict:
        return _SIGNS[row.verdict]
    return _WAITING if row.is_waiting else _RUNNING


def _time(row: Row, now_seconds: float) -> str:
    if row.began_seconds is None:
        return ""
    end = now_seconds if row.ended_seconds is None else row.ended_seconds
    return clock(end - row.began_seconds)


def _total(rows: Sequence[Row], plan: Layout, now_seconds: float) -> Table:
    """How many there are of each, all workflows, all bills, the time."""
    table = _bare(plan, with_head=False)
    table.add_column(ratio=1, no_wrap=True)
    _add_figures(table)
    ended, workflows, billed_usd, ideal_usd = total_of(rows)
    table.add_row(
        _counts(rows, f"ideal cost {usd(ideal_usd)}" if ideal_usd else ""),
        _done(ended, workflows, "bold"),
        Text(usd(billed_usd) if billed_usd else "", "bold"),
        Text(clock(now_seconds), "bold"),
    )
    return table


def _counts(rows: Sequence[Row], beside: str) -> Text:
    found = Counter(_word(row) for row in rows)
    styles = {str(verdict): style for verdict, (_, style) in _SIGNS.items()}
    styles |= {"running": _RUNNING[1], "waiting": _WAITING[1]}
    parts = [Text(f"{found[word]} {word}", style) for word, style in styles.items() if found[word]]
    if beside:
        parts.append(Text(beside, "dim"))
    line = Text("  ").join(parts) if parts else Text("getting ready", "dim")
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _word(row: Row) -> str:
    if row.verdict:
        return str(row.verdict)
    return "waiting" if row.is_waiting else "running"


def _remark(remark: Remark, width: int) -> Text:
    line = _text("", "")
    line.append(f"{clock(remark.at_seconds):>7}  ", "dim")
    line.append(f"{plain(remark.about)}  ", "bold")
    line.append(plain(remark.text), "red" if remark.is_bad else "")
    line.truncate(width, overflow="ellipsis")
    return line


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours, minutes and seconds."""
    minutes, second = divmod(max(0, int(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def _text(text: str, style: str) -> Text:
    return Text(plain(text), style, no_wrap=True, overflow="ellipsis")

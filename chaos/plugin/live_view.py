"""The live view: one table on the terminal, drawn again as a run goes on, gone when it ends."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleDimensions, Group
from rich.control import Control
from rich.live import Live
from rich.table import Table
from rich.text import Text

from chaos.evidence.text import plain
from chaos.experiment.events import CaseName, Finished, Message, Planned, TimedEvent
from chaos.invariants.verdict import Verdict
from chaos.plugin.watched import CaseState, Row, rows_of
from chaos.report.table import usd

REDRAW_SECONDS = 0.5
"""The least between two frames."""

_BILLS_SECONDS = 1.0
_WIDE = 110
"""Columns from which on a fault stands beside the stage; else it takes its place."""

_FEWEST_LINES, _RULES = 4, 2
"""Beside the rows: head, total, message and the cursor's own line; and the lines between them."""

_PID = re.compile(r" \(pid \d+\)")
_SIGNS = {
    "failed": ("✗", "bold red"),
    "unknown": ("?", "bold magenta"),
    "running": ("●", "cyan"),
    "waiting": ("○", "dim"),
    "passed": ("✓", "green"),
}
"""By a row's state; where there is no room, those named first are shown."""


class _CursorStays(Console):
    """Its cursor is never hidden: a run that is killed could not show it again."""

    def show_cursor(self, show: bool = True) -> bool:
        """Do nothing."""
        del show
        return False


@dataclass
class LiveView:
    """Draws by the thread that waits for results, below the line that pytest has begun.

    `descriptor` stays the terminal's whatever pytest captures; its owner closes it. `column` says
    how far pytest's line has come. A terminal that is gone does not end a run.
    """

    descriptor: int
    has_colours: bool
    column: Callable[[], int]
    _cases: dict[CaseName, CaseState] = field(default_factory=dict, init=False)
    _message: str = field(default="", init=False)
    _live: Live | None = field(default=None, init=False)
    _drawn: object = field(default=None, init=False)
    _changes: int = field(default=0, init=False)
    _next_frame: float = field(default=0.0, init=False)
    _next_bills: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._console = _CursorStays(
            file=os.fdopen(self.descriptor, "w", encoding="utf-8", errors="replace", closefd=False),
            force_terminal=True,
            no_color=not self.has_colours,
            highlight=False,
            markup=False,
            emoji=False,
        )

    def handle(self, timed: TimedEvent) -> None:
        """Take note of an event."""
        self._changes += 1
        match timed.event:
            case Planned(cases=cases):
                self._cases = {case.name: CaseState(case) for case in cases}
            case Message(about=about, text=text):
                self._message = f"{about}: {text}"
            case Finished(scenario=scenario, verdict=verdict, reason=reason):
                if verdict is not Verdict.PASSED:
                    self._message = f"{scenario} {verdict}: {reason}"
            case of_a_case:
                self._cases[of_a_case.case].take(timed.at_seconds, of_a_case)

    def refresh(self, now_seconds: float) -> None:
        """Draw, unless that was just done or would change nothing."""
        if now_seconds < self._next_frame:
            return
        if now_seconds >= self._next_bills:
            self._next_bills = now_seconds + _BILLS_SECONDS
            self._read_bills()
        with suppress(OSError):
            columns, lines = os.get_terminal_size(self.descriptor)
            size = ConsoleDimensions(columns or 80, lines or 24)  # 0: it does not know
            frame = (self._changes, int(now_seconds), size)
            if frame != self._drawn:
                self._drawn, self._next_frame = frame, now_seconds + REDRAW_SECONDS
                self._draw(now_seconds, size)

    def leave(self) -> None:
        """Erase it; pytest's line goes on where it was."""
        live, self._live = self._live, None
        self._drawn, self._next_frame = None, 0.0
        if live is None:
            return
        with suppress(OSError):
            live.stop()
            if column := self.column() % self._console.width:
                self._console.control(Control.move_to_column(column, y=-1))

    def _draw(self, now_seconds: float, size: ConsoleDimensions) -> None:
        if self._live and size.width < self._console.width:
            # The terminal has broken the lines of the last frame: Rich cannot know into how many.
            self._live.stop()
            self._live = None
            self._console.clear()
        # One line is pytest's, and in the end Rich needs one more.
        self._console.size = ConsoleDimensions(size.width, size.height - 2)
        cases = tuple(self._cases.values())
        table = table_of(cases, self._message, now_seconds, self._console.size)
        if self._live is None:
            if self.column():
                self._console.line()
            self._live = Live(
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
                vertical_overflow="ellipsis",
            )
            self._live.start()
        # The cursor rests on a line of its own: there the terminal echoes what somebody types.
        self._live.update(Group(table, ""), refresh=True)

    def _read_bills(self) -> None:
        for case in self._cases.values():
            # A target's own function, reading files that are written meanwhile.
            with suppress(Exception):
                billed_usd = case.planned.billed_usd()
                if billed_usd != case.billed_usd:
                    case.billed_usd = billed_usd
                    self._changes += 1


def table_of(
    cases: Sequence[CaseState], message: str, now_seconds: float, size: ConsoleDimensions
) -> Table:
    """A row for each scenario as far as there is room, the total, and the newest message."""
    rows, is_wide, room = rows_of(cases), size.width >= _WIDE, size.height - _FEWEST_LINES
    has_rules = len(rows) + _RULES <= room
    counts = Counter(row.state for row in rows)
    states = "  ".join(f"{counts[s]} {sign}" for s, (sign, _) in _SIGNS.items() if counts[s])
    done, billed, ideal = _figures(Row("Total", cases))
    table = Table(
        box=SIMPLE_HEAD if has_rules else None,
        expand=True,
        show_edge=False,
        show_footer=True,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        caption=_text(message),
        caption_justify="left",
    )
    table.add_column("  Scenario", "  Total" if rows else "  getting ready", max_width=28)
    table.add_column("Cases", justify="right")
    totals = (f"{states}  ideal {ideal}" if is_wide else states) if rows else ""
    table.add_column("Stage" if is_wide else "Stage, or fault", totals, ratio=5, no_wrap=True)
    if is_wide:
        table.add_column("Fault", ratio=4)
    table.add_column("Done", done, justify="right")
    table.add_column("Billed", billed, justify="right", min_width=6)
    table.add_column("Time", _clock(now_seconds), justify="right", min_width=4)
    shown, left_out = _fitting(rows, room)
    for row in shown:
        sign, style = _SIGNS[row.state]
        stage, fault = _text(_PID.sub("", row.stage), style), _fault(row, now_seconds)
        table.add_row(
            _text(f"{sign} {row.name}", style),
            f"{sum(case.verdict is not None for case in row.cases)}/{len(row.cases)}",
            *([stage, fault] if is_wide else [fault or stage]),
            *_figures(row)[:2],
            _clock(row.seconds(now_seconds)),
        )
    if left_out:
        table.add_row("", "", Text(f"… {left_out} more", "dim"))
    return table


def _fitting(rows: Sequence[Row], room: int) -> tuple[Sequence[Row], int]:
    """Where there is no room for all: those of the most interest, in their order, and how many
    are left out.
    """
    if len(rows) <= room:
        return rows, 0
    states = list(_SIGNS)
    kept = sorted(rows, key=lambda row: states.index(row.state))[: max(0, room - 1)]
    return [row for row in rows if row in kept], len(rows) - len(kept)


def _fault(row: Row, now_seconds: float) -> Text:
    """The newest fault of the case that is shown, for how long it is active, and how many more."""
    if not row.shown.faults:
        return Text("")
    fault, more = row.shown.faults[-1], sum(len(case.faults) for case in row.cases) - 1
    active = f"{_clock(now_seconds - fault.since_seconds)} {fault.kind} at {fault.target}"
    return _text(f"{active} +{more}" if more else active, "yellow")


def _figures(row: Row) -> tuple[str, str, str]:
    """Workflows that have ended of all, what was billed, and what would be without waste."""
    cases = [case for case in row.cases if not case.planned.control]
    workflows = sum(case.workflows for case in cases)
    billed_usd = sum((case.billed_usd for case in cases), Decimal(0))
    return (
        f"{sum(len(case.ended) for case in cases)}/{workflows}" if workflows else "",
        usd(billed_usd) if billed_usd else "",
        usd(sum((case.planned.ideal_usd for case in cases), Decimal(0))),
    )


def _clock(seconds: float | None) -> str:
    """Minutes and seconds, or hours, minutes and seconds."""
    if seconds is None:
        return ""
    minutes, second = divmod(max(0, int(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def _text(text: str, style: str = "") -> Text:
    """What others wrote, on one line and without control characters."""
    return Text(plain(text), style, no_wrap=True, overflow="ellipsis")

"""The live view on a real pseudo-terminal, read by a terminal emulator."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import termios
from collections.abc import Iterator
from decimal import Decimal

import pyte
import pytest
from rich.console import Console, ConsoleDimensions

from chaos.evidence.journal import Event
from chaos.experiment.events import Finished, Message, Planned, Stage, TimedEvent, WorkflowEnded
from chaos.invariants.verdict import Verdict
from chaos.plugin.live_view import LiveView, table_of
from tests.unit.chaos.plugin.story import ONE, busy, case, fault, journaled, reached, state_of

PROGRESS = "tests/test_scenarios.py .."


class Emulator:
    """A pseudo-terminal: what pytest and the view write, and what somebody sees."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        os.set_blocking(self.master, False)
        self.screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self.screen)
        self.written = b""
        self.pytests_line = ""
        self.billed_usd = Decimal(0)
        self.resize(80, 24)
        self.view = LiveView(self.slave, has_colours=True, column=lambda: len(self.pytests_line))
        planned = case(billed_usd=lambda: self.billed_usd)
        self.view.handle(TimedEvent(0, Planned((planned,))))

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)

    def pytest_writes(self, text: str) -> None:
        os.write(self.slave, text.encode())
        self.pytests_line += text

    @property
    def seen(self) -> list[str]:
        """The lines that are not empty."""
        try:
            while piece := os.read(self.master, 65536):
                self.written += piece
                self._stream.feed(piece)
        except BlockingIOError:
            pass
        return [line.rstrip() for line in self.screen.display if line.strip()]

    def frames(self, seconds: int, *, eventful: bool) -> int:
        """How many are drawn."""
        count = 0
        for tenth in range(10 * seconds):
            if eventful:
                self.view.handle(
                    TimedEvent(*journaled(tenth / 10, Event.STAGE, text=f"note {tenth}"))
                )
            before = len(self.written)
            self.view.refresh(tenth / 10)
            count += bool(self.seen and len(self.written) > before)
        return count

    def close(self) -> None:
        os.close(self.slave)
        os.close(self.master)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator()
    yield emulator
    emulator.close()


@pytest.mark.parametrize("length", [0, 26, 79, 80, 81, 160])
@pytest.mark.parametrize("above", [0, 22], ids=["at the top", "at the bottom"])
def test_after_it_is_gone_pytests_line_goes_on_where_it_was(
    length: int, above: int, emulator: Emulator
) -> None:
    os.write(emulator.slave, b"\r\n" * above)
    emulator.pytest_writes("." * length)
    for letter in "FF":
        emulator.view.refresh(1)
        assert any("worker_crash" in line for line in emulator.seen)
        emulator.view.leave()
        emulator.pytest_writes(letter)

    assert "".join(emulator.seen) == "." * length + "FF"


def test_the_cursor_is_never_hidden_so_that_a_killed_run_leaves_it(emulator: Emulator) -> None:
    emulator.view.refresh(1)

    assert emulator.seen
    assert not emulator.screen.cursor.hidden
    assert b"\x1b[?" not in emulator.written


def test_it_is_drawn_twice_a_second_at_most_and_else_once_a_second(emulator: Emulator) -> None:
    assert emulator.frames(10, eventful=True) == 20
    emulator.view.leave()
    assert emulator.frames(10, eventful=False) == 10


def test_a_terminal_of_another_size_is_drawn_on_anew(emulator: Emulator) -> None:
    emulator.pytest_writes(PROGRESS)
    emulator.view.refresh(1.0)
    assert max(map(len, emulator.seen)) == 80

    for now_seconds, columns in ((2.0, 120), (3.0, 60)):
        emulator.resize(columns, 24)
        emulator.view.refresh(now_seconds)
        assert max(map(len, emulator.seen)) == columns
        assert sum("worker_crash" in line for line in emulator.seen) == 1


def test_a_bill_is_shown_and_one_that_cannot_be_read_hurts_nobody(emulator: Emulator) -> None:
    emulator.billed_usd = Decimal("1.278")
    emulator.view.refresh(1.0)
    emulator.view._cases[ONE].planned = case(billed_usd=lambda: Decimal(int("half a line")))
    emulator.view.refresh(5.0)

    assert sum("$1.28" in line for line in emulator.seen) == 2  # its row, and the total


def test_the_newest_message_and_failure_stand_below(emulator: Emulator) -> None:
    emulator.view.handle(TimedEvent(0, Message("temporal", "building from source")))
    emulator.view.refresh(1.0)
    assert emulator.seen[-1] == "temporal: building from source"

    emulator.view.handle(TimedEvent(2, Finished("fleet", Verdict.FAILED, "billed twice")))
    emulator.view.handle(TimedEvent(2, Finished("fleet", Verdict.PASSED, "18 checks hold")))
    emulator.view.refresh(2.0)
    assert emulator.seen[-1] == "fleet failed: billed twice"


def test_a_terminal_that_is_gone_is_no_reason_to_fail() -> None:
    emulator = Emulator()
    emulator.view.refresh(1)
    emulator.close()

    emulator.view.refresh(9)
    emulator.view.leave()


def _drawn(cases: object, width: int, height: int, *, colours: bool = False) -> str:
    size = ConsoleDimensions(width, height)
    console = Console(
        file=io.StringIO(),
        width=width,
        color_system="256" if colours else None,
        force_terminal=True,
    )
    with console.capture() as drawn:
        console.print(table_of(cases, "", 62, size))  # type: ignore[arg-type] # a sequence of cases
    return drawn.get()


def _line(drawn: str, word: str) -> str:
    (line,) = (line for line in drawn.splitlines() if word in line)
    return " ".join(line.split())


def test_a_row_shows_the_fault_for_how_long_the_workflows_and_the_time() -> None:
    story = (
        *(reached(2, Stage.RUNNING), fault(49, "pause", "server"), fault(50, "kill", "worker-1")),
        journaled(51, Event.STAGE, text="worker-2 is ready (pid 4711)"),
        (52.0, WorkflowEnded(ONE, "w")),
    )
    cases = [state_of(case(workflows=3), *story)]

    narrow, wide = (_line(_drawn(cases, width, 24), "● worker_crash") for width in (80, 160))
    assert narrow == "● worker_crash 0/1 0:12 kill at worker-1 +1 1/3 1:00"
    assert wide == "● worker_crash 0/1 worker-2 is ready 0:12 kill at worker-1 +1 1/3 1:00"


def test_the_total_counts_states_workflows_and_money_but_no_control() -> None:
    control = state_of(case(control=True, workflows=7), reached(2, Stage.RUNNING))
    drawn = _drawn([*busy(18, passed=4, failed=1, waiting=6), control], 120, 40)

    assert _line(drawn, "Total") == "Total 1 ✗ 8 ● 6 ○ 4 ✓ ideal $22.30 0/18 1:02"


@pytest.mark.parametrize("size", [(60, 10), (80, 22), (120, 40), (300, 90)], ids=str)
@pytest.mark.parametrize("count", [0, 1, 18, 40, 200])
def test_the_table_fits_and_failures_and_faults_stay_in_sight(
    count: int, size: tuple[int, int]
) -> None:
    drawn = _drawn(busy(count, passed=count // 2, failed=min(2, count // 3), waiting=3), *size)

    assert len(drawn.splitlines()) < size[1]  # one is the cursor's
    assert max(map(len, drawn.splitlines())) <= size[0]
    assert drawn.count("✗ scenario") == min(2, count // 3)
    if count == 18 and size == (80, 22):
        assert drawn.count("scenario_") == 18  # as many as the catalogue has, at 80 x 24


def test_verdicts_can_be_told_apart_without_colours_and_there_are_some() -> None:
    cases = busy(18, passed=4, failed=1, waiting=6)

    assert {"✓", "✗", "●", "○", "passed", "waiting"} <= set(_drawn(cases, 120, 40).split())
    assert "\x1b[1;31m" in _drawn(cases, 120, 40, colours=True)

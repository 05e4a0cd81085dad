"""Frames on a real pseudo-terminal, read by a terminal emulator."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import termios
from collections.abc import Iterator
from pathlib import Path

import pyte
import pytest
from rich.console import Group
from rich.text import Text

from chaos.plugin.view.terminal import Terminal, can_be_drawn_on

FRAME = Group(Text("Scenario", "bold red"), Text("worker_crash"), Text(""))
LARGER = Group(Text("Scenario"), Text("worker_crash"), Text("checkpoint"), Text(""))
PROGRESS = "tests/chaos/test_scenarios.py .."


class Emulator:
    """Both ends of a pseudo-terminal: what pytest and the view write, and what somebody sees."""

    def __init__(self, columns: int = 40, lines: int = 12) -> None:
        self.master, self.slave = pty.openpty()
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self.written = b""
        self.pytests_line = ""
        self.resize(columns, lines)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._screen.resize(lines, columns)

    def pytest_writes(self, text: str) -> None:
        os.write(self.slave, text.encode())
        self.pytests_line += text

    def terminal(self, *, has_colours: bool = True) -> Terminal:
        return Terminal(self.slave, has_colours, column=lambda: len(self.pytests_line))

    def close(self) -> None:
        os.close(self.slave)
        os.close(self.master)

    @property
    def seen(self) -> list[str]:
        """The lines that are not empty."""
        os.set_blocking(self.master, False)
        try:
            while piece := os.read(self.master, 65536):
                self.written += piece
                self._stream.feed(piece)
        except BlockingIOError:
            pass
        return [line.rstrip() for line in self._screen.display if line.strip()]

    @property
    def cursor(self) -> tuple[int, int, bool]:
        """Its line, its column, and whether it is to be seen."""
        assert self.seen
        return self._screen.cursor.y, self._screen.cursor.x, not self._screen.cursor.hidden


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    emulator = Emulator()
    yield emulator
    emulator.close()


def test_a_frame_stands_below_pytests_line_and_the_next_one_in_its_place(
    emulator: Emulator,
) -> None:
    emulator.pytest_writes(PROGRESS)
    terminal = emulator.terminal()
    terminal.draw(FRAME)
    assert emulator.seen == [PROGRESS, "Scenario", "worker_crash"]

    terminal.draw(LARGER)
    assert emulator.seen == [PROGRESS, "Scenario", "worker_crash", "checkpoint"]
    terminal.draw(FRAME)
    assert emulator.seen == [PROGRESS, "Scenario", "worker_crash"]


def test_after_it_is_erased_pytest_writes_on_where_it_was(emulator: Emulator) -> None:
    emulator.pytest_writes(PROGRESS)
    terminal = emulator.terminal()
    for letter in ".F":
        terminal.draw(LARGER)
        terminal.erase()
        emulator.pytest_writes(letter)

    assert emulator.seen == [f"{PROGRESS}.F"]
    assert emulator.cursor == (0, len(PROGRESS) + 2, True)


@pytest.mark.parametrize("length", [39, 40, 41, 80])
def test_a_line_that_has_come_to_the_edge_goes_on_behind_it(
    length: int, emulator: Emulator
) -> None:
    emulator.pytest_writes("." * length)
    terminal = emulator.terminal()
    terminal.draw(LARGER)
    terminal.erase()
    emulator.pytest_writes("FF")

    assert "".join(emulator.seen) == "." * length + "FF"


def test_at_the_start_of_a_line_no_line_is_lost(emulator: Emulator) -> None:
    terminal = emulator.terminal()
    terminal.draw(FRAME)
    assert emulator.seen == ["Scenario", "worker_crash"]
    terminal.erase()
    emulator.pytest_writes("collected 1 item")

    assert emulator.seen == ["collected 1 item"]


def test_at_the_bottom_of_the_screen_it_scrolls_and_pytests_line_stays(emulator: Emulator) -> None:
    os.write(emulator.slave, b"\r\n" * 11)
    emulator.pytest_writes(PROGRESS)
    terminal = emulator.terminal()
    terminal.draw(LARGER)
    terminal.draw(LARGER)
    assert emulator.seen == [PROGRESS, "Scenario", "worker_crash", "checkpoint"]
    terminal.erase()
    emulator.pytest_writes(".")

    assert emulator.seen == [f"{PROGRESS}."]


def test_a_frame_that_leaves_no_line_free_does_not_push_pytests_line_out(
    emulator: Emulator,
) -> None:
    emulator.pytest_writes(PROGRESS)
    terminal = emulator.terminal()
    rows = [f"row {n}" for n in range(10)]
    for letter in "..":
        terminal.draw(Group(*map(Text, rows), Text("")))
        assert emulator.seen == [emulator.pytests_line, *rows]
        terminal.erase()
        emulator.pytest_writes(letter)

    assert emulator.seen == [f"{PROGRESS}.."]
    assert emulator.cursor == (0, len(PROGRESS) + 2, True)


def test_the_cursor_is_never_hidden_so_a_killed_run_leaves_it(emulator: Emulator) -> None:
    terminal = emulator.terminal()
    terminal.draw(FRAME)

    assert emulator.cursor == (2, 0, True)
    terminal.erase()
    assert emulator.cursor[2] if emulator.seen else True
    assert b"\x1b[?25l" not in emulator.written
    assert b"\x1b[?1049h" not in emulator.written


def test_a_terminal_that_became_narrower_is_cleared(emulator: Emulator) -> None:
    terminal = emulator.terminal()
    terminal.draw(Group(Text("x" * 40), Text("y" * 40), Text("")))
    emulator.resize(20, 12)
    terminal.draw(FRAME)

    assert emulator.seen == ["Scenario", "worker_crash"]


def test_without_colours_there_are_none(emulator: Emulator) -> None:
    emulator.terminal(has_colours=False).draw(FRAME)
    assert emulator.seen
    assert b"31m" not in emulator.written

    emulator.terminal(has_colours=True).draw(FRAME)
    assert emulator.seen
    assert b"\x1b[1;31m" in emulator.written


def test_a_terminal_that_is_gone_is_no_reason_to_fail() -> None:
    emulator = Emulator()
    terminal = emulator.terminal()
    terminal.draw(FRAME)
    emulator.close()

    terminal.draw(LARGER)
    terminal.erase()


TERM = {"TERM": "xterm-256color"}


@pytest.mark.parametrize(
    ("environment", "size", "expected"),
    [
        (TERM, (80, 24), True),
        ({**TERM, "CI": "false"}, (80, 24), True),
        ({**TERM, "NO_COLOR": "1"}, (80, 24), True),
        (TERM, (0, 0), True),  # it does not know its size
        ({**TERM, "CI": "true"}, (80, 24), False),
        ({**TERM, "CI": "1"}, (80, 24), False),
        ({"TERM": "dumb"}, (80, 24), False),
        ({}, (80, 24), False),
        (TERM, (59, 24), False),
        (TERM, (80, 9), False),
    ],
)
def test_a_terminal_is_drawn_on_where_somebody_sees_it_and_it_is_large_enough(
    environment: dict[str, str], size: tuple[int, int], expected: bool, emulator: Emulator
) -> None:
    emulator.resize(*size) if all(size) else fcntl.ioctl(
        emulator.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0)
    )
    with os.fdopen(os.dup(emulator.slave), "w") as stream:
        assert can_be_drawn_on(stream, environment) is expected


def test_neither_a_file_nor_a_pipe_nor_a_buffer_is_drawn_on(tmp_path: Path) -> None:
    read, write = os.pipe()
    with (
        os.fdopen(read),
        os.fdopen(write, "w") as pipe,
        (tmp_path / "file").open("w") as file,
    ):
        assert not can_be_drawn_on(pipe, TERM)
        assert not can_be_drawn_on(file, TERM)
    assert not can_be_drawn_on(io.StringIO(), TERM)

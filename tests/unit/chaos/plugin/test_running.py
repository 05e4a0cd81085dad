"""Which view of a run somebody gets."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from chaos.experiment.events import Message, NoView, TimedEvent
from chaos.plugin.live_view import LiveView
from chaos.plugin.plain_view import PlainView
from chaos.plugin.running import can_be_drawn_on, view_of


class Config:
    """As much of pytest's as is asked for; what it writes is kept."""

    def __init__(self, *, verbosity: int = 0, plain: bool = False, lacking: str = "") -> None:
        self.lines: list[str] = []
        self.cleanups: list[Callable[[], None]] = []
        self.option = SimpleNamespace(verbose=verbosity)
        self._plain, self._lacking = plain, lacking
        self.pluginmanager = self

    def get_plugin(self, name: str) -> Any:
        plugins = {
            "capturemanager": SimpleNamespace(global_and_fixture_disabled=nullcontext),
            "terminalreporter": SimpleNamespace(
                ensure_newline=lambda: None, write_line=self.lines.append, flush=lambda: None
            ),
        }
        return None if name == self._lacking else plugins[name]

    def getoption(self, name: str) -> bool | None:
        assert name == "chaos_plain"
        return True if self._plain else None

    def getini(self, name: str) -> bool:
        assert name == "chaos_plain"
        return False

    def get_terminal_writer(self) -> Any:
        return SimpleNamespace(hasmarkup=True, width_of_current_line=0)

    def add_cleanup(self, cleanup: Callable[[], None]) -> None:
        self.cleanups.append(cleanup)

    def view(self) -> object:
        config: Any = self
        return view_of(config)


@pytest.fixture
def view_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Config], object]]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("CI", raising=False)
    with os.fdopen(slave, "w") as stream:

        def view(config: Config) -> object:
            monkeypatch.setattr(sys, "stdout", stream)  # between fixture and test, pytest sets it
            return config.view()

        yield view
    os.close(master)


OnATerminal = Callable[[Config], object]


def test_on_a_terminal_it_is_live_and_leaves_no_file_open(view_on_a_terminal: OnATerminal) -> None:
    config = Config()
    before = psutil.Process().num_fds()

    assert isinstance(view_on_a_terminal(config), LiveView)
    assert psutil.Process().num_fds() == before + 1
    for cleanup in config.cleanups:
        cleanup()
    assert psutil.Process().num_fds() == before


def test_whoever_wants_lines_gets_them_on_a_terminal_too(view_on_a_terminal: OnATerminal) -> None:
    assert isinstance(view_on_a_terminal(Config(plain=True)), PlainView)


@pytest.mark.parametrize(
    "config",
    [Config(verbosity=-1), Config(lacking="terminalreporter"), Config(lacking="capturemanager")],
    ids=["-q", "no reporter", "no capture"],
)
def test_where_pytest_is_quiet_there_is_none(
    config: Config, view_on_a_terminal: OnATerminal
) -> None:
    assert isinstance(view_on_a_terminal(config), NoView)


def test_without_a_terminal_there_are_lines() -> None:
    config = Config()
    view = config.view()

    assert isinstance(view, PlainView)
    view.handle(TimedEvent(1.5, Message("temporal", "found")))
    assert config.lines == ["   1.5 s  temporal: found"]


TERM = {"TERM": "xterm-256color"}


@pytest.mark.parametrize(
    ("environment", "is_a_terminal", "expected"),
    [
        (TERM, True, True),
        ({**TERM, "CI": "false"}, True, True),
        ({**TERM, "NO_COLOR": "1"}, True, True),
        ({**TERM, "CI": "true"}, True, False),
        ({"TERM": "dumb"}, True, False),
        ({}, True, False),
        (TERM, False, False),
    ],
)
def test_a_terminal_is_drawn_on_where_somebody_sees_it(
    environment: dict[str, str], *, is_a_terminal: bool, expected: bool
) -> None:
    stream: Any = SimpleNamespace(isatty=lambda: is_a_terminal)

    assert can_be_drawn_on(stream, environment) is expected

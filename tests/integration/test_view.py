"""Whole runs of pytest on a pseudo-terminal, as somebody sees them."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from select import select

import pyte
import pytest

from chaos.process.programs import find_temporal_cli
from chaos.process.reaper import tagged_processes

pytestmark = pytest.mark.nightly

PROJECT = Path(__file__).parents[2]
COLUMNS, LINES = 100, 70
"""So many lines that nothing is scrolled out of sight."""

HEAD = "Stage, or fault"
CTRL_C = b"\x03"
"""What the key sends: the terminal makes a signal of it."""


class Run:
    """A run of pytest whose terminal we are, and what is to be seen on it."""

    def __init__(self, reports: Path, cli: Path) -> None:
        self.master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self.screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self.screen)
        self._settings = termios.tcgetattr(self._slave)
        inherited = {k: v for k, v in os.environ.items() if k not in {"CI", "NO_COLOR"}}
        self.process = subprocess.Popen(
            [
                # Its terminal in the sense of Unix, or Ctrl-C would not reach it.
                *("/usr/bin/setsid", "--ctty", sys.executable, "-m", "pytest", "tests/chaos"),
                *("-p", "no:cacheprovider", "-m", "chaos", "-k", "concurrency", "--workflows=8"),
                f"--reports={reports}",
            ],
            cwd=PROJECT,
            env={**inherited, "TERM": "xterm-256color", "TEMPORAL_CLI": str(cli)},
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
        )

    @property
    def text(self) -> str:
        """What is to be seen now."""
        while select([self.master], [], [], 0)[0]:
            self._stream.feed(os.read(self.master, 65536))
        return "\n".join(line.rstrip() for line in self.screen.display if line.strip())

    def until(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + 45
        while not condition():
            assert time.monotonic() < end, f"{what}\n{self.text}"
            select([self.master], [], [], 0.05)

    def end(self) -> int:
        self.until(lambda: self.text and self.process.poll() is not None, "it ends")
        return self.process.wait()

    def is_left_as_it_was(self) -> bool:
        """Whether the terminal behaves as before, and its cursor can be seen."""
        is_same = termios.tcgetattr(self._slave) == self._settings
        return bool(self.text) and is_same and not self.screen.cursor.hidden

    def left_behind(self) -> list[object]:
        """The processes that still live and the folders that are still there."""
        name = f"chaos-run-{self.process.pid}-"
        return [
            *(p for p, mark in tagged_processes() if Path(mark).name.startswith(name)),
            *Path(tempfile.gettempdir()).glob(f"{name}*"),
        ]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._slave)
        os.close(self.master)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    run = Run(tmp_path / "reports", find_temporal_cli(None, announce=print).path)
    yield run
    with suppress(OSError):
        run.close()


@pytest.mark.sample
def test_a_run_is_watched_live_and_then_its_results_stand_there(run: Run) -> None:
    billed = r"● concurrency .* \d+/8 +\$\d+\.\d\d +0:\d\d"
    run.until(lambda: HEAD in run.text and re.search(billed, run.text), "a bill")

    assert run.end() == 0, run.text
    assert HEAD not in run.text
    # Pytest's own line is as if nothing had been drawn below it.
    assert re.search(r"^tests/chaos/test_scenarios\.py \. +\[100%\]$", run.text, re.MULTILINE)
    assert re.search(r"\| 5\. Concurrency \| Complete \| [\d.]+ s +\| \$9\.91 \| PASSED", run.text)
    assert run.is_left_as_it_was()


@pytest.mark.parametrize("ending", ["Ctrl-C", "SIGKILL"])
def test_a_run_that_is_broken_off_leaves_the_terminal_as_it_was(ending: str, run: Run) -> None:
    run.until(lambda: HEAD in run.text and "1 ●" in run.text, "the table")
    run.until(lambda: len(run.left_behind()) >= 3, "server, fake API and a folder")

    if ending == "Ctrl-C":
        os.write(run.master, CTRL_C)
        assert run.end() == pytest.ExitCode.INTERRUPTED
        assert HEAD not in run.text
    else:
        run.process.kill()
        assert run.end() == -signal.SIGKILL

    assert run.is_left_as_it_was()
    run.until(lambda: not run.left_behind(), "nothing is left behind")

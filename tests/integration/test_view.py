"""Whole runs of pytest on a pseudo-terminal, as somebody sees them, and one without."""

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
PYTEST = (sys.executable, "-m", "pytest", "tests/chaos", "-m", "chaos", "-p", "no:cacheprovider")
COLUMNS, LINES = 100, 70
"""So many lines that nothing is scrolled out of sight."""

HEAD = "Stage, or fault"
CTRL_C = b"\x03"
"""What the key sends: the terminal makes a signal of it."""


@pytest.fixture(scope="module")
def temporal_cli() -> Path:
    """Found once, so that no run of this module has to build it."""
    return find_temporal_cli(None, announce=print).path


class Seen:
    """A run of pytest whose terminal we are, and what is to be seen on it."""

    def __init__(self, reports: Path, cli: Path, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self.written = b""
        self.screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self.screen)
        self.settings = termios.tcgetattr(slave)
        inherited = {k: v for k, v in os.environ.items() if k not in {"CI", "NO_COLOR"}}
        self.process = subprocess.Popen(
            # Its terminal in the sense of Unix, or Ctrl-C would not reach it.
            ["/usr/bin/setsid", "--ctty", *PYTEST, f"--reports={reports}", *arguments],
            cwd=PROJECT,
            env={**inherited, "TERM": "xterm-256color", "TEMPORAL_CLI": str(cli)},
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        self._slave = slave

    @property
    def lines(self) -> list[str]:
        """What is to be seen now."""
        while select([self._master], [], [], 0)[0]:
            piece = os.read(self._master, 65536)
            self.written += piece
            self._stream.feed(piece)
        return [line.rstrip() for line in self.screen.display if line.strip()]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def until(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + 45
        while not condition():
            assert time.monotonic() < end, f"{what}\n{self.text}"
            select([self._master], [], [], 0.05)

    def until_seen(self, *words: str) -> None:
        self.until(lambda: all(word in self.text for word in words), f"{words} are seen")

    def press(self, key: bytes) -> None:
        os.write(self._master, key)

    def end(self) -> int:
        self.until(lambda: self.process.poll() is not None, "it ends")
        return self.process.wait()

    def is_left_as_it_was(self) -> bool:
        """Whether it behaves as before, its cursor can be seen, and it has but one screen."""
        assert self.lines
        return (
            termios.tcgetattr(self._slave) == self.settings
            and not self.screen.cursor.hidden
            and not re.search(rb"\x1b\[\?(25l|1049h|47h)", self.written)
        )

    def left_behind(self) -> list[object]:
        """The processes that still live and the folders that are still there."""
        name = f"chaos-run-{self.process.pid}-"
        return [
            *(p for p, mark in tagged_processes() if Path(mark).name.startswith(name)),
            *Path(tempfile.gettempdir()).glob(f"{name}*"),
        ]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._slave)
        os.close(self._master)


@pytest.fixture
def watch(tmp_path: Path, temporal_cli: Path) -> Iterator[Callable[..., Seen]]:
    seen: list[Seen] = []

    def watch_run(*arguments: str) -> Seen:
        seen.append(Seen(tmp_path / "reports", temporal_cli, "-k", "concurrency", *arguments))
        return seen[-1]

    yield watch_run
    for each in seen:
        with suppress(OSError):
            each.close()


@pytest.mark.sample
def test_on_a_terminal_a_run_is_watched_live_and_then_its_table_stands_there(
    watch: Callable[..., Seen],
) -> None:
    run = watch("--workflows=8")
    run.until_seen(HEAD, "1 running", "ideal cost $9.91", "0/8")
    billed = r"● concurrency .* \d+/8 +\$\d+\.\d\d +0:\d\d"
    run.until(lambda: re.search(billed, run.text), "a bill")
    assert "is ready (pid" not in run.text

    assert run.end() == 0, run.text
    assert HEAD not in run.text
    # Pytest's own line is as if nothing had been drawn below it.
    assert re.search(r"^tests/chaos/test_scenarios\.py \. +\[100%\]$", run.text, re.MULTILINE)
    assert re.search(r"\| 5\. Concurrency \| Complete \| [\d.]+ s +\| \$9\.91 \| PASSED", run.text)
    assert "OVERALL: 1/1 tests passed" in run.text
    assert run.is_left_as_it_was()


@pytest.mark.parametrize("ending", ["Ctrl-C", "SIGKILL"])
def test_a_run_that_is_broken_off_leaves_the_terminal_as_it_was(
    ending: str, watch: Callable[..., Seen]
) -> None:
    run = watch()
    run.until_seen(HEAD, "1 running")
    run.until(lambda: len(run.left_behind()) >= 3, "server, fake API and a folder")

    if ending == "Ctrl-C":
        run.press(CTRL_C)
        assert run.end() == pytest.ExitCode.INTERRUPTED
        assert "KeyboardInterrupt" in run.text
        assert HEAD not in run.text
    else:
        run.process.kill()
        assert run.end() == -signal.SIGKILL
        # Nobody could erase it; what is written next stands below.
        assert HEAD in run.text
        assert run.screen.cursor.x == 0
        assert not run.screen.display[run.screen.cursor.y].strip()

    assert run.is_left_as_it_was()
    run.until(lambda: not run.left_behind(), "nothing is left behind")


def test_without_a_terminal_there_are_lines_and_not_a_single_escape(
    tmp_path: Path, temporal_cli: Path
) -> None:
    run = subprocess.run(
        [*PYTEST, f"--reports={tmp_path}", "-k", "concurrency", "--workflows=1"],
        cwd=PROJECT,
        env={**os.environ, "TERM": "xterm-256color", "TEMPORAL_CLI": str(temporal_cli)},
        capture_output=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout
    assert b"\x1b" not in run.stdout + run.stderr
    said = [line for line in run.stdout.decode().splitlines() if " s  concurrency: " in line]
    assert sum("worker-1 is ready (pid " in line for line in said) == 1
    assert re.fullmatch(r" +\d+\.\d s  concurrency: passed: \d+ checks hold", said[-1])

"""Runs one command to its end, or ends it with all that it started."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from chaos.process.programs.model import Search, SearchCancelledError

_POLL_SECONDS = 0.1
_KEPT_BYTES = 16 * 1024
_GROUP_END_SECONDS = 5.0
_LEASH = Path(__file__).with_name("leash.py")


@dataclass(frozen=True, kw_only=True)
class Command:
    """What to run, for how long, and what is told while it runs. Times are in seconds."""

    argv: Sequence[str]
    timeout_seconds: float
    is_leashed: bool = False
    """Killed with its group when this process is killed. Only worth it for what takes long."""
    folder: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to this process's own."""
    idle_seconds: float = float("inf")
    """How long `pulse` may stay the same."""
    pulse: Callable[[], object] = lambda: None
    on_progress: Callable[[float, str], None] = lambda _elapsed, _line: None
    """Called with the seconds since the start and the latest line of output."""


@dataclass(frozen=True)
class Finished:
    """How a command ended. `output` is the end of its stdout and stderr together."""

    exit_code: int
    output: str

    @property
    def is_success(self) -> bool:
        """Whether the exit code is 0."""
        return self.exit_code == 0


class CommandTimeoutError(Exception):
    """A command took too long and was ended. The message has the time and its last output."""


def run(command: Command, search: Search) -> Finished:
    """Run it in a session of its own; nothing of its process group is left afterwards.

    Raises OSError where it cannot be started, CommandTimeoutError where it takes too long, and
    SearchCancelledError.
    """
    with _started(command, search) as process:
        output = _Tail(process)
        stopwatch = _Stopwatch(command)
        while not _has_ended(process):
            output.read(_POLL_SECONDS)
            if search.cancel.is_set():
                raise SearchCancelledError(f"The search ended during `{command.argv[0]}`.")
            elapsed = stopwatch.check(output.latest_line)
            command.on_progress(elapsed, output.latest_line)
        output.read(0)
    return Finished(process.returncode, output.text)


@contextmanager
def _started(command: Command, search: Search) -> Iterator[subprocess.Popen[bytes]]:
    leash = [sys.executable, "-I", "-S", str(_LEASH)] if command.is_leashed else []
    with subprocess.Popen(  # noqa: S603 - no shell, and the callers name the programs
        [*leash, *command.argv],
        cwd=command.folder,
        env={**os.environ, **command.environment, **search.environment},
        stdin=subprocess.PIPE if command.is_leashed else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            _kill_group(process)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    # Without reaping it: until the group is killed, no other process may get its id.
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, process.pid, flags) is not None


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + _GROUP_END_SECONDS
    while _is_group_alive(process.pid) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS / 10)


def _is_group_alive(group: int) -> bool:
    """Whether anyone in it still runs; zombies wait for whoever adopted them, and do nothing."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


class _Tail:
    """The end of a process's output, read as it comes so that it never blocks on a full pipe."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdout is None:
            raise ValueError("The process was started without a pipe for its output.")
        self._process = process
        self._pipe = process.stdout.fileno()
        self._kept = b""
        self._is_open = True
        self._ready = select.poll()
        self._ready.register(self._pipe, select.POLLIN)
        os.set_blocking(self._pipe, False)

    @property
    def text(self) -> str:
        return self._kept.decode(errors="replace").strip()

    @property
    def latest_line(self) -> str:
        return self.text.rpartition("\n")[2]

    def read(self, wait_seconds: float) -> None:
        """Take in what is there, waiting at most so long for anything to come."""
        if not self._is_open:
            time.sleep(wait_seconds)  # it has closed its output and still runs
        elif self._ready.poll(wait_seconds * 1000):
            self._take()

    def _take(self) -> None:
        with suppress(BlockingIOError):
            chunk = os.read(self._pipe, 1 << 20)
            self._is_open = bool(chunk)
            self._kept = (self._kept + chunk)[-_KEPT_BYTES:]


class _Stopwatch:
    """Measures a command against its time limits."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self._start = self._last_change = time.monotonic()
        self._pulse = command.pulse()

    def check(self, latest_line: str) -> float:
        """The seconds since the start. Raises CommandTimeoutError when there were too many."""
        now = time.monotonic()
        if (pulse := self._command.pulse()) != self._pulse:
            self._pulse, self._last_change = pulse, now
        said = f"; it last said: {latest_line}" if latest_line else ""
        if now - self._start > self._command.timeout_seconds:
            limit = self._command.timeout_seconds
            raise CommandTimeoutError(f"it did not end within {limit:g} s{said}")
        if now - self._last_change > self._command.idle_seconds:
            raise CommandTimeoutError(f"nothing came for {self._command.idle_seconds:g} s{said}")
        return now - self._start

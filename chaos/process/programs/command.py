"""Runs one command to its end, or ends it with everything that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from chaos.process.programs.model import (
    Binary,
    Program,
    Search,
    SearchCancelledError,
    Source,
    shorten,
)
from chaos.process.started import group_of

VERSION_TIMEOUT_SECONDS = 30.0
KEPT_BYTES = 16 * 1024
"""Of the end of a command's output."""

_POLL_SECONDS = 0.1
_GROUP_END_SECONDS = 5.0


class CommandTimeoutError(Exception):
    """A command took too long and was ended. The message has the time and its last output."""


class UnusableError(Exception):
    """A file is not a working program. The message completes "it …"."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """What to run, for how long, and what is reported while it runs. Times are in seconds."""

    argv: Sequence[str]
    timeout_seconds: float
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


def run(command: Command, search: Search) -> Finished:
    """Run it in a session of its own; nothing of its process group is left afterwards.

    Raises OSError where it cannot be started, CommandTimeoutError where it takes too long, and
    SearchCancelledError.
    """
    with tempfile.TemporaryFile() as output, _started(command, search, output) as process:
        stopwatch = _Stopwatch(command)
        while not _has_ended(process):
            if search.cancel.is_set():
                raise SearchCancelledError(f"The search ended during `{command.argv[0]}`.")
            latest_line = _end_of(output).rpartition("\n")[2]
            command.on_progress(stopwatch.check(latest_line), latest_line)
        return Finished(process.returncode, _end_of(output))


@contextmanager
def _started(
    command: Command, search: Search, output: BinaryIO
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(  # noqa: S603 - no shell, and the callers name the programs
        command.argv,
        cwd=command.folder,
        env={**os.environ, **command.environment, **search.environment},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _kill_group(process)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Wait briefly for its end."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(_POLL_SECONDS)
    return process.returncode is not None


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS: of a group of zombies alone
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + _GROUP_END_SECONDS
    while group_of(process.pid) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS / 10)


def _end_of(output: BinaryIO) -> str:
    descriptor = output.fileno()
    size = os.fstat(descriptor).st_size
    kept = os.pread(descriptor, KEPT_BYTES, max(0, size - KEPT_BYTES))
    return kept.decode(errors="replace").strip()


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
            raise CommandTimeoutError(f"no output for {self._command.idle_seconds:g} s{said}")
        return now - self._start


def examine(path: Path, source: Source, search: Search) -> Binary:
    """Run the file's `--version`. Raises UnusableError, and SearchCancelledError."""
    path = path.expanduser().absolute()
    _require_executable(path)
    answer = _ask_version(path, search)
    version = parse_server_version(search.program, answer.output)
    if not answer.is_success or version is None:
        said = shorten(answer.output.partition("\n")[0], 120) or "nothing"
        raise UnusableError(
            f"is not the {search.program.title}: --version printed {said}"
            f" and ended with {answer.exit_code}"
        )
    return Binary(path, shorten(answer.output), version, source)


def parse_server_version(program: Program, answer: str) -> str | None:
    """The server's version in an answer to `--version`, None where it is not the program's."""
    found = program.answer.search(answer)
    return found["server"] if found else None


def _require_executable(path: Path) -> None:
    if path.is_dir():
        raise UnusableError("is a folder")
    if not path.exists():
        raise UnusableError("does not exist")
    if not os.access(path, os.X_OK):
        raise UnusableError("is not executable")


def _ask_version(path: Path, search: Search) -> Finished:
    argv = [str(path), "--version"]
    try:
        return run(Command(argv=argv, timeout_seconds=VERSION_TIMEOUT_SECONDS), search)
    except CommandTimeoutError as error:
        raise UnusableError(f"does not answer --version: {shorten(str(error), 120)}") from None
    except OSError as error:
        raise UnusableError(f"cannot be run ({error.strerror})") from None

"""One worker process of a fleet: its start, what it says, and whether it still moves."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol, Self
from uuid import uuid4

import psutil
from pydantic import ValidationError

from workflows.fleet.in_hand import InHand
from workflows.fleet.reports import MEMBER_VARIABLE, PLACE_VARIABLE, REPORTS_VARIABLE, Report
from workflows.fleet.spawner import WORKER_ARGV, Spawner, SpawnerError

KEPT_LINES = 12
_LONGEST_LINE_BYTES = 1 << 20
_LAST_WORDS_SECONDS = 1.0

logger = logging.getLogger("workflows.fleet")

Launch = Callable[[Mapping[str, str], int], "Awaitable[Process]"]
"""Starts a process with an environment and the pipe where it reports. Raises OSError."""


class Process(Protocol):
    """A child of this process; `asyncio.subprocess.Process` is one."""

    @property
    def pid(self) -> int:
        """Its process id."""

    @property
    def returncode(self) -> int | None:
        """What it ended with, by waitpid; None while it has not been seen to end."""

    @property
    def stdout(self) -> asyncio.StreamReader | None:
        """What it writes."""

    def send_signal(self, signal: int) -> None:
        """Raises ProcessLookupError where it is gone."""

    async def wait(self) -> int:
        """Wait for its end."""


@dataclass
class Forked:
    """A worker that the spawner has forked, and that this process has adopted."""

    pid: int
    stdin: int
    stdout: asyncio.StreamReader
    output: asyncio.ReadTransport
    returncode: int | None = None
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    async def start(cls, spawner: Spawner, environment: Mapping[str, str], reports: int) -> Self:
        """Raises OSError."""
        stdin, ours = os.pipe()
        output, theirs = os.pipe()
        try:
            pid = await spawner.start(environment, (stdin, theirs, reports))
        except BaseException:
            os.close(ours)
            os.close(output)
            raise
        finally:
            os.close(stdin)
            os.close(theirs)
        forked = cls(pid, ours, *await _reader(output))
        # Before its end is awaited here, nobody else gets its number.
        handle = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(handle, forked._reap, handle)
        return forked

    def send_signal(self, signal: int) -> None:
        """Send it; until waitpid has seen its end, the number is its own."""
        if self.returncode is None:
            os.kill(self.pid, signal)

    async def wait(self) -> int:
        """Wait for its end."""
        await self._ended.wait()
        return self.returncode or 0

    def _reap(self, handle: int) -> None:
        asyncio.get_running_loop().remove_reader(handle)
        os.close(handle)
        os.close(self.stdin)
        _, status = os.waitpid(self.pid, 0)
        self.returncode = os.waitstatus_to_exitcode(status)
        self._ended.set()
        # Its last words may still be in the pipe.
        asyncio.get_running_loop().call_later(2 * _LAST_WORDS_SECONDS, self.output.close)


@dataclass
class Member:
    """A process, from its start to its end. `sender` names it in the ledger of paid calls."""

    place: int
    sender: str
    process: Process
    write: Callable[[str], object]
    in_hand: InHand = field(default_factory=InHand)
    started_at: float = field(default_factory=time.monotonic)
    ready_at: float | None = None
    sticky_queue: str | None = None
    told_to_stop: bool = False
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    _readers: Sequence[asyncio.Task[None]] = ()

    @classmethod
    async def start(
        cls,
        place: int,
        launch: Launch,
        extra: Mapping[str, str],
        write: Callable[[str], object],
    ) -> Self:
        """Start it; `write` gets all lines that it logs. Its standard input ends with this process,
        and so it learns of that.

        Raises OSError where there is no such program, or no room for another process.
        """
        sender = uuid4().hex
        environment = {
            **os.environ,
            **extra,
            MEMBER_VARIABLE: sender,
            PLACE_VARIABLE: str(place),
        }
        reading, writing = os.pipe()
        try:
            process = await launch(environment, writing)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        member = cls(place, sender, process, write)
        reports = asyncio.create_task(member._read_reports(reading))
        lines = asyncio.create_task(member._read_lines())
        member._readers = (reports, lines)
        return member

    @property
    def name(self) -> str:
        """What it is called in the log."""
        return f"worker-{self.place}"

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def is_there(self) -> bool:
        """Whether it has not been seen to end."""
        return self.process.returncode is None

    @property
    def is_paused(self) -> bool:
        """Whether it was stopped by a signal (SIGSTOP); one under a debugger does not count."""
        with suppress(psutil.Error):
            return bool(psutil.Process(self.pid).status() == psutil.STATUS_STOPPED)
        return False

    @property
    def ended_in_order(self) -> bool:
        """Whether it is gone and has finished all that it had, as after SIGTERM.

        One that is told to stop before it can hear it is ended by the signal itself.
        """
        in_order = {0, -signal.SIGTERM} if self.told_to_stop else {0}
        return self.process.returncode in in_order and not self.in_hand.unfinished

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it is still there."""
        self.told_to_stop |= number is signal.SIGTERM
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def ended(self) -> str:
        """Wait until it is gone and all that it said is read; what ended it, in words."""
        code = await self.process.wait()
        await asyncio.wait(self._readers, timeout=_LAST_WORDS_SECONDS)
        for reader in self._readers:
            reader.cancel()
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

    async def _read_reports(self, pipe: int) -> None:
        stream, transport = await _reader(pipe)
        try:
            async for line in stream:
                with suppress(ValidationError):  # another program's, which knows no reports
                    self.in_hand.take(Report.model_validate_json(line))
                if self.in_hand.is_ready and self.ready_at is None:
                    self.ready_at = time.monotonic()
        finally:
            transport.close()

    async def _read_lines(self) -> None:
        """Pass on what it logs, under its name."""
        stream = self.process.stdout
        while stream and (line := await _line(stream)):
            text = line.decode(errors="replace").rstrip("\n")
            self.last_lines.append(text)
            self.write(f"{self.name} | {text}\n")


def launcher(argv: Sequence[str], spawner: Spawner) -> Launch:
    """How a worker of that command line is started: forked where the spawner can, or executed."""

    async def launch(environment: Mapping[str, str], reports: int) -> Process:
        if tuple(argv) == WORKER_ARGV:
            try:
                return await Forked.start(spawner, environment, reports)
            except SpawnerError as error:
                logger.warning("a worker is started from nothing: %s", error)
        return await asyncio.create_subprocess_exec(
            *argv,
            env={**environment, REPORTS_VARIABLE: str(reports)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            pass_fds=(reports,),
            # Ctrl-C in a terminal is for the fleet, which then ends its members in order.
            start_new_session=True,
            limit=_LONGEST_LINE_BYTES,
        )

    return launch


async def _reader(pipe: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    """What comes out of a pipe, and what closes that."""
    stream = asyncio.StreamReader(limit=_LONGEST_LINE_BYTES)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(pipe, "rb", buffering=0)
    )
    return stream, transport


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:  # longer than anybody would read
        return b"(a line that is too long)\n"

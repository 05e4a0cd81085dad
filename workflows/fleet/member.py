"""One worker process of a fleet: its start, what it says, and whether it still moves."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
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
        """Raises SpawnerError. Whatever becomes of this, a worker that it leaves alone finds its
        standard input closed, and stops.
        """
        stdin, ours = os.pipe()
        output, theirs = os.pipe()
        stdout, transport = await _reader(output)
        try:
            pid = await spawner.start(environment, (stdin, theirs, reports))
        except BaseException:
            os.close(ours)
            transport.close()
            raise
        finally:
            os.close(stdin)
            os.close(theirs)
        forked = cls(pid, ours, stdout, transport)
        arguments = (asyncio.get_running_loop(),)
        threading.Thread(
            target=forked._watch, args=arguments, name=f"watch {pid}", daemon=True
        ).start()
        return forked

    def send_signal(self, signal: int) -> None:
        """Send it; until this process has reaped it, the number is its own."""
        if self.returncode is None:
            os.kill(self.pid, signal)

    async def wait(self) -> int:
        """Wait for its end."""
        await self._ended.wait()
        return self.returncode or 0

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """See its end, and leave it to the loop to reap it: nobody else may get its number while
        a signal could still be sent there.
        """
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with suppress(RuntimeError):  # the loop is closed: this process is at its own end
            loop.call_soon_threadsafe(self._reap, loop)

    def _reap(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            _, status = os.waitpid(self.pid, 0)
            self.returncode = os.waitstatus_to_exitcode(status)
        except ChildProcessError:  # as asyncio has it of a child that somebody else has reaped
            self.returncode = 255
        os.close(self.stdin)
        self._ended.set()
        # Its last words may still be in the pipe.
        loop.call_later(2 * _LAST_WORDS_SECONDS, self.output.close)


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
        ways: Sequence[Launch],
        extra: Mapping[str, str],
        write: Callable[[str], object],
    ) -> Self:
        """Start it in the first of these ways that works; `write` gets all lines that it logs. Its
        standard input ends with this process, and so it learns of that.

        Raises OSError where there is no such program, or no room for another process.
        """
        for launch in ways[:-1]:
            try:
                return await cls._start(place, launch, extra, write)
            except SpawnerError as error:
                logger.warning("worker-%d is started from nothing: %s", place, error)
        return await cls._start(place, ways[-1], extra, write)

    @classmethod
    async def _start(
        cls,
        place: int,
        launch: Launch,
        extra: Mapping[str, str],
        write: Callable[[str], object],
    ) -> Self:
        """Under a name and with a pipe that no other process ever has: one that was forked and
        could not be told of may still be there for a moment.
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


def ways_to_start(argv: Sequence[str], spawner: Spawner) -> Sequence[Launch]:
    """How a worker of that command line is started: forked where it can be, else executed."""

    async def fork(environment: Mapping[str, str], reports: int) -> Process:
        return await Forked.start(spawner, environment, reports)

    async def execute(environment: Mapping[str, str], reports: int) -> Process:
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

    return (fork, execute) if tuple(argv) == WORKER_ARGV else (execute,)


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

"""One supervised worker process: its start, its output and reports, and its end."""

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
from typing import Self
from uuid import uuid4

import psutil
from pydantic import ValidationError

from workflows.fleet.child_process import (
    LAST_WORDS_SECONDS,
    LONGEST_LINE_BYTES,
    Forked,
    Process,
    open_pipe,
)
from workflows.fleet.in_flight import InFlight
from workflows.fleet.reports import NUMBER_VARIABLE, REPORTS_VARIABLE, SENDER_VARIABLE, Report
from workflows.fleet.spawner import WORKER_ARGV, Spawner, SpawnerError

KEPT_LINES = 12

logger = logging.getLogger("workflows.fleet")

Launch = Callable[[Mapping[str, str], int], Awaitable[Process]]
"""Starts a process with an environment and a pipe for its reports. Raises OSError."""


@dataclass
class WorkerProcess:
    """One process from its start to its end. `sender` is its name in the payment journal."""

    number: int
    sender: str
    process: Process
    write: Callable[[str], object]
    in_flight: InFlight = field(default_factory=InFlight)
    started_at: float = field(default_factory=time.monotonic)
    ready_at: float | None = None
    sticky_queue: str | None = None
    told_to_stop: bool = False
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    _readers: Sequence[asyncio.Task[None]] = ()

    @classmethod
    async def start(
        cls,
        number: int,
        ways: Sequence[Launch],
        extra: Mapping[str, str],
        write: Callable[[str], object],
    ) -> Self:
        """Start it in the first of these ways that works; `write` gets each line of its output. Its
        standard input is a pipe from this process, whose end means that the supervisor died.

        Raises OSError if there is no such program, or no room for another process.
        """
        for launch in ways[:-1]:
            try:
                return await cls._start(number, launch, extra, write)
            except SpawnerError as error:
                logger.warning("worker-%d is not forked but executed: %s", number, error)
        return await cls._start(number, ways[-1], extra, write)

    @classmethod
    async def _start(
        cls,
        number: int,
        launch: Launch,
        extra: Mapping[str, str],
        write: Callable[[str], object],
    ) -> Self:
        """Each way has a sender and a pipe of its own: a worker whose fork was not confirmed may
        live on for a moment.
        """
        sender = uuid4().hex
        environment = {
            **os.environ,
            **extra,
            SENDER_VARIABLE: sender,
            NUMBER_VARIABLE: str(number),
        }
        reading, writing = os.pipe()
        try:
            process = await launch(environment, writing)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        worker = cls(number, sender, process, write)
        reports = asyncio.create_task(worker._read_reports(reading))
        lines = asyncio.create_task(worker._read_lines())
        worker._readers = (reports, lines)
        return worker

    @property
    def name(self) -> str:
        """Its name in the log."""
        return f"worker-{self.number}"

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def is_there(self) -> bool:
        """Whether it has not been reaped."""
        return self.process.returncode is None

    @property
    def is_paused(self) -> bool:
        """Whether it was stopped by a signal (SIGSTOP), not by a debugger."""
        with suppress(psutil.Error):
            return bool(psutil.Process(self.pid).status() == psutil.STATUS_STOPPED)
        return False

    @property
    def ended_in_order(self) -> bool:
        """Whether it has ended and finished all its attempts, as after SIGTERM.

        SIGTERM itself ends a worker that has not installed its handler yet.
        """
        in_order = {0, -signal.SIGTERM} if self.told_to_stop else {0}
        return self.process.returncode in in_order and not self.in_flight.unfinished

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        self.told_to_stop |= number is signal.SIGTERM
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def ended(self) -> str:
        """Wait until it has ended and its output is read; what ended it, in words."""
        code = await self.process.wait()
        await asyncio.wait(self._readers, timeout=LAST_WORDS_SECONDS)
        for reader in self._readers:
            reader.cancel()
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

    async def _read_reports(self, pipe: int) -> None:
        stream, transport = await open_pipe(pipe)
        try:
            async for line in stream:
                with suppress(ValidationError):  # from another program (`--command`)
                    self.in_flight.take(Report.model_validate_json(line))
                if self.in_flight.is_ready and self.ready_at is None:
                    self.ready_at = time.monotonic()
        finally:
            transport.close()

    async def _read_lines(self) -> None:
        """Write each line of its output, after its name."""
        stream = self.process.stdout
        while stream and (line := await _line(stream)):
            text = line.decode(errors="replace").rstrip("\n")
            self.last_lines.append(text)
            self.write(f"{self.name} | {text}\n")


def ways_to_start(argv: Sequence[str], spawner: Spawner) -> Sequence[Launch]:
    """How to start a worker of this command line: by fork if possible, else by exec."""

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
            # Ctrl-C in a terminal is for the supervisor, which then drains its workers.
            start_new_session=True,
            limit=LONGEST_LINE_BYTES,
        )

    return (fork, execute) if tuple(argv) == WORKER_ARGV else (execute,)


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:  # longer than the limit
        return b"(a line that is too long)\n"

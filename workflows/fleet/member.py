"""One worker process of a fleet: its start, what it says, and whether it still moves."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self
from uuid import uuid4

import psutil
from pydantic import ValidationError

from workflows.fleet.in_hand import InHand
from workflows.fleet.reports import MEMBER_VARIABLE, PLACE_VARIABLE, REPORTS_VARIABLE, Report

KEPT_LINES = 12
_LONGEST_LINE_BYTES = 1 << 20
_LAST_WORDS_SECONDS = 1.0


@dataclass
class Member:
    """A process, from its start to its end. `sender` names it in the ledger of paid calls."""

    place: int
    sender: str
    process: asyncio.subprocess.Process
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
        argv: Sequence[str],
        extra: Mapping[str, str],
        write: Callable[[str], object],
    ) -> Self:
        """Start it; `write` gets all lines that it logs. Its standard input ends with this process,
        and so it learns of that.

        Raises OSError where there is no such program, or no room for another process.
        """
        sender = uuid4().hex
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                env={
                    **os.environ,
                    **extra,
                    MEMBER_VARIABLE: sender,
                    REPORTS_VARIABLE: str(writing),
                    PLACE_VARIABLE: str(place),
                },
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=(writing,),
                # Ctrl-C in a terminal is for the fleet, which then ends its members in order.
                start_new_session=True,
                limit=_LONGEST_LINE_BYTES,
            )
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
        stream = asyncio.StreamReader(limit=_LONGEST_LINE_BYTES)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(pipe, "rb", buffering=0)
        )
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


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:  # longer than anybody would read
        return b"(a line that is too long)\n"

"""A worker's operating-system process: a child that was forked by the spawner, or executed."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol, Self

from workflows.fleet.spawner import Spawner

LONGEST_LINE_BYTES = 1 << 20
LAST_WORDS_SECONDS = 1.0
"""How long after its end what a worker wrote may still be read from its pipes."""


class Process(Protocol):
    """A child of this process; `asyncio.subprocess.Process` has this interface."""

    @property
    def pid(self) -> int:
        """Its process id."""

    @property
    def returncode(self) -> int | None:
        """Its exit code by waitpid; None until then."""

    @property
    def stdout(self) -> asyncio.StreamReader | None:
        """Its output."""

    def send_signal(self, signal: int) -> None:
        """Raises ProcessLookupError if it is gone."""

    async def wait(self) -> int:
        """Wait for its end."""


@dataclass
class Forked:
    """A worker that the spawner has forked and this process has adopted."""

    pid: int
    stdin: int
    stdout: asyncio.StreamReader
    output: asyncio.ReadTransport
    returncode: int | None = None
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    async def start(cls, spawner: Spawner, environment: Mapping[str, str], reports: int) -> Self:
        """Raises SpawnerError. If this fails after the fork, the worker finds its standard input
        closed and stops.
        """
        stdin, ours = os.pipe()
        output, theirs = os.pipe()
        stdout, transport = await open_pipe(output)
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
        """Send it. Its pid cannot be reused before this process has reaped it."""
        if self.returncode is None:
            os.kill(self.pid, signal)

    async def wait(self) -> int:
        """Wait for its end."""
        await self._ended.wait()
        return self.returncode or 0

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait for its end, and let the event loop reap it: its pid must not be reused while the
        loop could still send a signal to it.
        """
        if sys.platform == "linux":  # nowhere else are workers forked
            with suppress(ChildProcessError):
                os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with suppress(RuntimeError):  # the loop is closed: this process is ending
            loop.call_soon_threadsafe(self._reap, loop)

    def _reap(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            _, status = os.waitpid(self.pid, 0)
            self.returncode = os.waitstatus_to_exitcode(status)
        except ChildProcessError:  # other code has reaped it; asyncio has the same code for that
            self.returncode = 255
        os.close(self.stdin)
        self._ended.set()
        # Its last lines may still be in the pipe.
        loop.call_later(2 * LAST_WORDS_SECONDS, self.output.close)


async def open_pipe(pipe: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    """The pipe as a stream, and the transport that closes it."""
    stream = asyncio.StreamReader(limit=LONGEST_LINE_BYTES)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(pipe, "rb", buffering=0)
    )
    return stream, transport

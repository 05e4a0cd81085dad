"""Which case may start when: the longest first, the next when the machine has room."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from chaos.evidence.headroom import ROOMY_PRESSURE, SAMPLE_SECONDS, Meter

PAUSE_SECONDS = 1.5
"""Between two starts on a busy machine: about as long as one start takes there."""

SETTLING_SECONDS = 0.05
"""Cases that arrive at the same moment are compared before one of them starts."""


@dataclass(frozen=True, order=True)
class _Waiting:
    """Cases that take longer come first, then those that arrived first."""

    order: tuple[float, int]
    has_own_server: bool = field(compare=False)
    slot: asyncio.Future[StartSlot] = field(compare=False)


class StartSlot:
    """Permission to run a stack. Until `is_up` it counts as starting, which takes a processor."""

    def __init__(self, admission: Admission) -> None:
        self._admission: Admission | None = admission

    def is_up(self) -> None:
        """Let the next one start; a second call does nothing."""
        if self._admission:
            self._admission.starting -= 1
            self._admission.look_again()
            self._admission = None


@dataclass
class Admission:
    """Lets cases start. At most `stacks` run at once, for each takes memory, and of these
    `own_servers` with a server of their own.

    While the meter shows that processes hardly wait for a processor, cases start one after the
    other, so that the meter sees each. Otherwise only one starts at a time, after a longer pause:
    running cases should not wait for starting ones.
    """

    meter: Meter = field(default_factory=Meter)
    stacks: int = 24
    own_servers: int = 24
    pause_seconds: float = field(default_factory=lambda: PAUSE_SECONDS)
    starting: int = 0
    _waiting: list[_Waiting] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _timer: asyncio.TimerHandle | None = None
    _last_at: float = -math.inf

    @asynccontextmanager
    async def slot(self, about_seconds: float, *, has_own_server: bool) -> AsyncIterator[StartSlot]:
        """Wait for a slot, and keep it during the block."""
        loop = asyncio.get_running_loop()
        order = (-about_seconds, next(self._numbers))
        waiting = _Waiting(order, has_own_server, loop.create_future())
        self._waiting.append(waiting)
        self._look_soon(SETTLING_SECONDS)
        try:
            slot = await waiting.slot
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            elif not waiting.slot.cancelled():
                self._leave(waiting.slot.result(), has_own_server=has_own_server)
            raise
        try:
            yield slot
        finally:
            self._leave(slot, has_own_server=has_own_server)

    def _leave(self, slot: StartSlot, *, has_own_server: bool) -> None:
        slot.is_up()
        self.stacks += 1
        self.own_servers += has_own_server
        self.look_again()

    def look_again(self) -> None:
        """Let in the cases that may start now."""
        for waiting in sorted(self._waiting):
            if not self.stacks or not self._has_room():
                return
            if waiting.slot.done() or (waiting.has_own_server and not self.own_servers):
                continue
            self._waiting.remove(waiting)
            self.stacks -= 1
            self.own_servers -= waiting.has_own_server
            self._last_at = time.monotonic()
            self.starting += 1
            waiting.slot.set_result(StartSlot(self))

    def _has_room(self) -> bool:
        passed = time.monotonic() - self._last_at
        if self.meter.latest.pressure < ROOMY_PRESSURE:
            return passed >= SAMPLE_SECONDS
        return not self.starting and passed >= self.pause_seconds

    def _look_soon(self, delay_seconds: float) -> None:
        if not self._timer:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(delay_seconds, self._timed)

    def _timed(self) -> None:
        self._timer = None
        self.look_again()
        if self._waiting:
            self._look_soon(SAMPLE_SECONDS / 5)

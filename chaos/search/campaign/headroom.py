"""How many cases a machine takes, and when it takes one more: what it cannot run now stays in the
queue, for others.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from temporalio.worker import (
    CustomSlotSupplier,
    SlotMarkUsedContext,
    SlotPermit,
    SlotReleaseContext,
    SlotReserveContext,
)

from chaos.experiment.admission import Admission, StartSlot
from chaos.process.ports import PortTakenError, lock_port
from chaos.search.campaign.cgroup import memory_left, processors

CASES_PER_PROCESSOR = 12
"""Most of a case's time is waiting: for a workflow task's 10 s, or for a missing heartbeat. A crash
point of `examples/orders` takes a processor for about 1.4 s of its 20 s. The admission lets in
fewer where processes wait for a processor.
"""

LEAST_FREE_BYTES = 1 << 30
"""Of a disk: a case's evidence and logs, and those of what runs beside it."""

LEAST_MEMORY_BYTES = 1 << 29
"""What a stack takes."""

_LOOK_SECONDS = 1.0


def slots_by_default() -> int:
    """How many cases a machine takes at once unless it is told."""
    return max(1, round(CASES_PER_PROCESSOR * processors()))


@dataclass(frozen=True)
class Resources:
    """What a machine must have free for one more case, and the fixed ports that only one process of
    it may use.
    """

    folder: Path
    ports: Sequence[int] = ()
    _locks: dict[int, socket.socket | None] = field(default_factory=dict)

    def why_none(self) -> str | None:
        """Why no case can run here now. One sentence, the same until it is another reason."""
        if shutil.disk_usage(self.folder).free < LEAST_FREE_BYTES:
            return f"takes no more cases while less than 1 GiB is free in {self.folder}: make room."
        if memory_left() < LEAST_MEMORY_BYTES:
            return "takes no more cases while less than 0.5 GiB of memory is available."
        for port in self.ports:
            if port not in self._locks:
                try:
                    self._locks[port] = lock_port(port, by="campaign")
                except PortTakenError:
                    return (
                        f"takes no cases while another worker process here serves the port {port}, "
                        "which the target wants: one per machine is enough."
                    )
        return None

    def close(self) -> None:
        """Leave the ports to others."""
        for lock in filter(None, self._locks.values()):
            lock.close()
        self._locks.clear()


class Permit(SlotPermit):
    """Of one case. Where it is `used`, its start is on; the slot ends with `released`."""

    def __init__(self) -> None:
        self.slot: StartSlot | None = None
        self.released = asyncio.Event()


@dataclass(eq=False)
class Headroom(CustomSlotSupplier):
    """Lets a case in when the machine has room for it, by the rules of the admission."""

    admission: Admission
    why_none: Callable[[], str | None]
    say: Callable[[str], None]
    _is_closed: bool = False
    _said: str | None = None
    _starting: deque[Permit] = field(default_factory=deque)
    _holding: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    async def reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit:
        """Wait for room."""
        del ctx
        permit, granted = Permit(), asyncio.Event()
        holding = asyncio.create_task(self._hold(permit, granted))
        self._holding.add(holding)
        holding.add_done_callback(self._holding.discard)
        try:
            await granted.wait()
            await self._until_room()
        except asyncio.CancelledError:
            holding.cancel()
            raise
        return permit

    async def _hold(self, permit: Permit, granted: asyncio.Event) -> None:
        async with self.admission.slot(0.0, has_own_server=False) as permit.slot:
            granted.set()
            await permit.released.wait()

    async def _until_room(self) -> None:
        while (why := self.why_none()) or self._is_closed:
            if why and why != self._said:
                self.say(why)
            self._said = why
            await asyncio.sleep(_LOOK_SECONDS)
        self._said = None

    def close(self) -> None:
        """Let no more in."""
        self._is_closed = True

    def try_reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit | None:
        """No case comes without being asked for."""
        del ctx
        return None

    def mark_slot_used(self, ctx: SlotMarkUsedContext) -> None:
        """A case has come. The SDK calls this from a thread of its own."""
        permit = ctx.permit
        if isinstance(permit, Permit):
            self._loop.call_soon_threadsafe(self._starting.append, permit)

    def release_slot(self, ctx: SlotReleaseContext) -> None:
        """A case is over, or none has come. The SDK calls this from a thread of its own."""
        permit = ctx.permit
        if isinstance(permit, Permit) and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._release, permit)

    def _release(self, permit: Permit) -> None:
        with suppress(ValueError):
            self._starting.remove(permit)
        permit.released.set()

    def is_up(self) -> None:
        """Let the next one start: one that was starting is. Which of them is not asked, since only
        their number counts.
        """
        if self._starting and (slot := self._starting.popleft().slot):
            slot.is_up()

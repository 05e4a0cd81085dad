"""A stack of lanes that is kept for the next case: its start would be most of a case's cost."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from chaos.evidence.journal import Entry, Event
from chaos.experiment.cpu import kind_of
from chaos.process.child import ChildError
from chaos.search.crash.lane import Lane
from chaos.search.crash.lanes import TROUBLE, Lanes

IDLE_SECONDS = 180.0
"""After so long without a case it ends: it takes half a GB."""

MOST_CASES = 100
"""After so many another one starts: the server's memory, the journals and the logs grow with each,
and so does what it takes to read them.
"""

Tell = Callable[[Entry], None]
Open = Callable[[Tell], AbstractAsyncContextManager[Lanes]]

_MAY_END = {"worker", "fleet"}
"""Kinds of processes that end all the time. Without one of the others a stack is of no use."""


@dataclass
class Held:
    """A lane that a case has to itself. `left` is a workflow that it leaves behind, which is given
    up before the next case gets the lane.
    """

    lane: Lane
    left: str = ""


@dataclass(eq=False)
class _Warm:
    """One stack: how many cases it has had, how many it has now, and the lanes that are idle."""

    starting: asyncio.Semaphore
    idle_seconds: float
    cases: int = 0
    open: int = 0
    is_whole: bool = True
    _idle: list[Held] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _opened: asyncio.Event = field(default_factory=asyncio.Event)
    _lanes: Lanes | None = None
    _error: BaseException | None = None
    _timer: asyncio.TimerHandle | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether it may have another case."""
        return self.is_whole and self.cases < MOST_CASES

    async def keep(self, open_: Open, after: asyncio.Task[None] | None) -> None:
        """Have it running until it is over. An error is that of who waits for a lane."""
        try:
            if after:
                await asyncio.wait([after])
            async with open_(self._tell) as self._lanes:
                self._opened.set()
                await self._over.wait()
        except TROUBLE as error:
            self._error = error
        except BaseException as error:
            self._error = error
            raise
        finally:
            self.is_whole, self._lanes = False, None
            self._opened.set()

    def _tell(self, entry: Entry) -> None:
        if entry.event is Event.EXITED and kind_of(entry.target or "") not in _MAY_END:
            self.is_whole = False

    async def take(self) -> Held:
        """A lane whose worker is ready. Raises what starting it raises."""
        if self._timer:
            self._timer.cancel()
        self.cases += 1
        self.open += 1
        try:
            return await self._ready()
        except BaseException:
            self.leave()
            raise

    async def _ready(self) -> Held:
        await self._opened.wait()
        if self._lanes is None:
            raise ChildError(f"a stack could not be started: {self._error or 'it was ended'}")
        held = self._idle.pop() if self._idle else None
        if held and not held.left:
            return held
        lane = held.lane if held else self._lanes.make(next(self._numbers))
        try:
            async with self.starting:
                await (lane.give_up(held.left) if held else lane.start())
        except BaseException:
            self.is_whole = False  # what was started in vain ends with it
            raise
        return Held(lane)

    def give_back(self, held: Held) -> None:
        """For the next case."""
        self._idle.append(held)

    def leave(self) -> None:
        """A case is done with it."""
        self.open -= 1
        if self.open:
            return
        if not self.is_fresh:
            self.end()
        else:
            self._timer = asyncio.get_running_loop().call_later(self.idle_seconds, self.end)

    def end(self) -> None:
        """Have it stopped; it takes no more cases."""
        self.is_whole = False
        self._over.set()


@dataclass
class WarmLanes:
    """The lanes of a target, on one stack after the other. `starts_at_once` bounds the lanes that
    start at once. With `alone` no two stacks run at once: they would want the same port.
    """

    open: Open
    starts_at_once: int
    alone: bool = False
    idle_seconds: float = IDLE_SECONDS
    _now: _Warm | None = None
    _last: asyncio.Task[None] | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def lane(self) -> AsyncIterator[Held]:
        """An idle lane, or a new one; stack and lane are started where need be. A lane whose block
        raises is not used again. Raises what starting it raises.
        """
        warm = self._warm()
        held = await warm.take()
        try:
            yield held
        except BaseException:
            await held.lane.discard()
            raise
        else:
            warm.give_back(held)
        finally:
            warm.leave()

    def _warm(self) -> _Warm:
        """The present stack, or the next one, which a task of its own keeps: it does not end with
        the case that wanted it first.
        """
        if self._now is None or not self._now.is_fresh:
            if self._now and not self._now.open:
                self._now.end()
            self._now = _Warm(asyncio.Semaphore(self.starts_at_once), self.idle_seconds)
            after = self._last if self.alone else None
            self._last = asyncio.create_task(self._now.keep(self.open, after))
            self._tasks.add(self._last)
            self._last.add_done_callback(self._ended)
        return self._now

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited for a lane was told

    async def close(self) -> None:
        """End what runs; cases have ended before."""
        if self._now:
            self._now.end()
        if self._tasks:
            await asyncio.wait(self._tasks)

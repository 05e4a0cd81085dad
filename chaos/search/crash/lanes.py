"""One stack for several lanes: a Temporal and the services, shared by all of them."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from temporalio.service import RPCError

from chaos.environment.stack import Stack, StackConfig, StackSpec
from chaos.environment.target import Target
from chaos.evidence.headroom import Meter
from chaos.evidence.journal import Entry, Journal
from chaos.experiment.lab import Lab, Options
from chaos.process.child import ChildError, spawning
from chaos.process.programs import find_temporal_cli
from chaos.process.reaper import Reaper
from chaos.process.spawner import Spawner
from chaos.process.waiting import CLOCK, DeadlineExceededError
from chaos.search.crash.keep import JOURNAL
from chaos.search.crash.lane import Lane
from chaos.wire.specs import WireError

DEFAULT_LANES = 4 * (os.cpu_count() or 1)
"""Most of a lane's time is waiting: for a workflow task's 10 s, or for a missing heartbeat."""

SPEC = StackSpec(persistent=False, wire=True)

TROUBLE = (ChildError, DeadlineExceededError, TimeoutError, RPCError, WireError)
"""Errors of one lane, after which the others continue."""

Say = Callable[[str], None]
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Means:
    """What an exploration or a probe runs with, from now on. `worker` is a command line instead of
    the target's; no point is started after `seconds`.
    """

    target: Target
    temporal_cli: Path
    reaper: Reaper
    say: Say
    lanes: int = DEFAULT_LANES
    seconds: float | None = None
    worker: Sequence[str] = ()
    _began: float = field(default_factory=time.monotonic, init=False)

    @property
    def age_seconds(self) -> float:
        """The seconds since its start."""
        return time.monotonic() - self._began

    @property
    def time_is_up(self) -> bool:
        """Whether the time is up, so that no further point is started."""
        return self.seconds is not None and self.age_seconds >= self.seconds

    def tell(self, text: str) -> None:
        """Announce a text, with the time."""
        self.say(f"{self.age_seconds:6.1f} s  {text}")

    @property
    def most_lanes(self) -> int:
        """One lane if workers connect to a fixed address: they share its one line."""
        return 1 if self.target.port else self.lanes


@contextmanager
def means_for(
    target: Target,
    say: Say,
    *,
    temporal_cli: Path | None = None,
    lanes: int | None = None,
    minutes: float | None = None,
) -> Iterator[Means]:
    """With a Temporal CLI; leaves nothing behind. Raises BadBinaryError, BinaryNotFoundError."""
    with Reaper() as reaper:
        cli = find_temporal_cli(temporal_cli, announce=say, environment=reaper.environment)
        yield Means(
            target=target,
            temporal_cli=cli.path,
            reaper=reaper,
            say=say,
            lanes=lanes or DEFAULT_LANES,
            seconds=60 * minutes if minutes else None,
        )


@dataclass
class Lanes:
    """The lanes of one stack, whose evidence lies in `folder`; they end with it. The `meter`
    records for each attempt how starved the machine was.
    """

    lab: Lab
    means: Means
    folder: Path
    meter: Meter
    _ends: AsyncExitStack = field(default_factory=AsyncExitStack)

    def make(self, number: int) -> Lane:
        """A new lane, not started yet."""
        name = f"lane-{number}"
        lab = replace(self.lab, stack=self.lab.stack.in_namespace(name))
        self._ends.push_async_callback(lab.close)
        return Lane(lab, name, self.meter, self.means.worker, self.means.target.explored.settings)

    async def work_off(
        self,
        started: Sequence[Lane],
        left: deque[_Item],
        attempt: Callable[[Lane, _Item], Awaitable[str]],
    ) -> None:
        """Let each lane attempt the next item, until none is left or the time is up; more lanes are
        started if there is enough to do. An attempt returns the workflow that it leaves behind, if
        any: then its lane continues with another worker.
        """

        async def work(lane: Lane) -> None:
            while left and not self.means.time_is_up:
                behind = await attempt(lane, left.popleft())
                if behind and not await self._is_started(lane, lane.give_up(behind)):
                    return

        async def begin_to_work(lane: Lane) -> None:
            async with starting:
                is_started = await self._is_started(lane, lane.start())
            if is_started:
                await work(lane)

        starting = asyncio.Semaphore(os.cpu_count() or 1)
        count = min(self.means.most_lanes, len(left))
        more = [self.make(number) for number in range(len(started) + 1, count + 1)]
        try:
            async with asyncio.TaskGroup() as group:
                for lane in started:
                    group.create_task(work(lane))
                for lane in more:
                    group.create_task(begin_to_work(lane))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None

    async def _is_started(self, lane: Lane, starting: Awaitable[None]) -> bool:
        """Start a lane; whether that succeeded."""
        try:
            await starting
        except TROUBLE as error:
            self.means.tell(f"{lane.name} cannot be started, the others continue: {error}")
            return False
        return True

    async def close(self) -> None:
        """Close the labs."""
        await self._ends.aclose()


@asynccontextmanager
async def open_lanes(means: Means, folder: Path) -> AsyncIterator[Lanes]:
    """A running stack whose evidence goes to a folder, prepared as the target wants it.

        async with open_lanes(means, folder / "stack") as lanes:
            await (lane := lanes.make(1)).start()
            await lane.attempt(spec, folder / "undisturbed")
            found = crash_points(read_wire(folder / "undisturbed"), spec.workflow_id)
            await lane.attempt(another, folder / "killed", found[0], Action.KILL)

    Raises ChildError, DeadlineExceededError.
    """
    target = means.target
    with spawning(means.reaper, target.preload, target.folder_in(None)) as spawner:
        async with metered() as meter, lanes_on(means, folder, spawner, meter) as lanes:
            yield lanes


@asynccontextmanager
async def lanes_on(
    means: Means,
    folder: Path,
    spawner: Spawner,
    meter: Meter,
    tell: Callable[[Entry], None] = lambda _: None,
) -> AsyncIterator[Lanes]:
    """The same, for a process that has several of them: they share what starts processes, and the
    meter. Each entry of the stack's journal is told. Raises ChildError, DeadlineExceededError.
    """
    scratch = Path(tempfile.mkdtemp(prefix="explore-", dir=means.reaper.folder))
    target = means.target
    config = StackConfig(
        run_tag=means.reaper.run_tag,
        scratch=scratch,
        evidence=folder,
        temporal_cli=means.temporal_cli,
        name="explore",
        spawner=spawner,
    )
    journal = Journal(folder / JOURNAL, tell)
    try:
        with closing(journal):
            async with Stack(SPEC, target, config, journal) as stack:
                lanes = Lanes((target.lab or Lab)(stack, journal, Options()), means, folder, meter)
                try:
                    if target.explored.prepare:
                        await target.explored.prepare(lanes.lab)
                    yield lanes
                finally:
                    await lanes.close()
                    await lanes.lab.close()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@asynccontextmanager
async def metered() -> AsyncIterator[Meter]:
    """How starved the machine is meanwhile, by which deadlines go as well."""
    meter = Meter()
    CLOCK.set(meter.fair_seconds)
    metering = asyncio.create_task(meter.run())
    try:
        yield meter
    finally:
        metering.cancel()

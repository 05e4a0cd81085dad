"""One stack for several lanes: a Temporal and the services, shared by all of them."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from chaos.environment.stack import Stack, StackConfig, StackSpec
from chaos.environment.target import Target
from chaos.evidence.headroom import Meter
from chaos.evidence.journal import Journal
from chaos.experiment.lab import Lab, Options
from chaos.process.child import spawning
from chaos.process.reaper import Guard
from chaos.process.waiting import CLOCK
from chaos.search.explore.keep import JOURNAL
from chaos.search.explore.lane import Lane

DEFAULT_LANES = 4 * (os.cpu_count() or 1)
"""Most of a lane's time is waiting: for a workflow task's 10 s, or for a missing heartbeat."""

SPEC = StackSpec(persistent=False, wire=True)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Means:
    """What an exploration runs with. `worker` is a command line in place of the target's; no stop
    is begun after `seconds`.
    """

    target: Target
    temporal_cli: Path
    guard: Guard
    say: Say
    lanes: int = DEFAULT_LANES
    seconds: float | None = None
    worker: Sequence[str] = ()

    @property
    def most_lanes(self) -> int:
        """Workers that know only one address of Temporal's share the one line that is there."""
        return 1 if self.target.port else self.lanes


@dataclass
class Lanes:
    """Those of one stack, whose evidence lies in `folder`; they end with it. The `meter` tells each
    try how starved the machine was.
    """

    lab: Lab
    means: Means
    folder: Path
    meter: Meter
    _ends: AsyncExitStack = field(default_factory=AsyncExitStack)

    def make(self, number: int) -> Lane:
        """One that does not run yet; start it."""
        name = f"lane-{number}"
        lab = replace(self.lab, stack=self.lab.stack.in_namespace(name))
        self._ends.push_async_callback(lab.close)
        return Lane(lab, name, self.meter, self.means.worker, self.means.target.explored.settings)

    async def close(self) -> None:
        """Let go of what the labs hold."""
        await self._ends.aclose()


@asynccontextmanager
async def open_lanes(means: Means, folder: Path) -> AsyncIterator[Lanes]:
    """A running stack whose evidence goes to a folder, prepared as the target wants it.

        async with open_lanes(means, folder / "stack") as lanes:
            await (lane := lanes.make(1)).start()
            await lane.attempt(spec, folder / "undisturbed")
            found = stops(read_wire(folder / "undisturbed"), spec.workflow_id)
            await lane.attempt(another, folder / "killed", found[0], Action.KILL)

    Raises ChildError, DeadlineExceededError.
    """
    scratch = Path(tempfile.mkdtemp(prefix="explore-", dir=means.guard.folder))
    target = means.target
    journal = Journal(folder / JOURNAL, lambda _: None)
    with closing(journal), spawning(means.guard, target.preload, target.folder_in(None)) as spawner:
        config = StackConfig(
            mark=means.guard.mark,
            scratch=scratch,
            evidence=folder,
            temporal_cli=means.temporal_cli,
            name="explore",
            spawner=spawner,
        )
        async with _metered() as meter, Stack(SPEC, target, config, journal) as stack:
            lanes = Lanes((target.lab or Lab)(stack, journal, Options()), means, folder, meter)
            try:
                if target.explored.prepare:
                    await target.explored.prepare(lanes.lab)
                yield lanes
            finally:
                await lanes.close()
                await lanes.lab.close()


@asynccontextmanager
async def _metered() -> AsyncIterator[Meter]:
    """How starved the machine is meanwhile, by which deadlines go as well."""
    meter = Meter()
    CLOCK.set(meter.fair_seconds)
    metering = asyncio.create_task(meter.run())
    try:
        yield meter
    finally:
        metering.cancel()

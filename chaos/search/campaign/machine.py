"""What a worker process of a campaign has for its cases: a stack with lanes, and room for more."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from chaos.environment.server import DevFactory
from chaos.environment.shared import SharingFactory
from chaos.environment.target import Target
from chaos.evidence.headroom import Meter
from chaos.experiment.admission import Admission
from chaos.experiment.lab import Options
from chaos.experiment.results import ScenarioResult
from chaos.experiment.run import RunContext, run_all
from chaos.experiment.scenario import Scenario
from chaos.process.child import spawning
from chaos.process.programs import Binary
from chaos.process.reaper import Reaper
from chaos.process.spawner import Spawner
from chaos.search.campaign.cgroup import processors
from chaos.search.campaign.warm import Held, Tell, WarmLanes
from chaos.search.crash.lanes import Lanes, Means, lanes_on

__all__ = ["Held", "Host", "Machine", "open_machine"]


@dataclass(frozen=True)
class Host:
    """What a process has for the cases of all targets. `meter` runs, and deadlines go by it."""

    name: str
    slots: int
    reaper: Reaper
    cli: Binary
    meter: Meter

    @contextmanager
    def fresh_folder(self, prefix: str) -> Iterator[Path]:
        """A folder that is removed after the block, or with the process."""
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=self.reaper.folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Machine:
    """One for each target that the process has had a case of. What it keeps of a case is removed
    when the case is over: it runs for weeks.
    """

    host: Host
    target: Target
    project: Path
    _spawner: Spawner
    _warm: WarmLanes = field(init=False)
    _admission: Admission = field(init=False)
    _ports: dict[int, asyncio.Lock] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._admission = Admission(self.host.meter)
        self._warm = WarmLanes(
            self._open,
            starts_at_once=max(1, round(processors())),
            alone=self.target.port is not None,
        )

    @property
    def name(self) -> str:
        """Of the process, unique among all machines."""
        return self.host.name

    @property
    def slots(self) -> int:
        """How many cases it has at once, at most."""
        return self.host.slots

    @property
    def server_version(self) -> str:
        """Of the dev servers that its cases run on."""
        return self.host.cli.server_version

    def lane(self) -> AbstractAsyncContextManager[Held]:
        """An idle lane of its stack, or a new one, both started where need be. A lane whose block
        raises is not used again. Raises what starting it raises.
        """
        return self._warm.lane()

    async def run(
        self, scenario: Scenario, folder: Path, emit: Callable[[object], None]
    ) -> ScenarioResult:
        """Run a scenario by `run_all`, with the second try that it may have; its cases' evidence
        goes below the folder as in any run. Its cases may share a server of this run.
        """
        if self.target.port:
            await self._warm.close()
        results: list[ScenarioResult] = []
        with self.host.fresh_folder("run-") as scratch:
            context = RunContext(
                run_tag=self.host.reaper.run_tag,
                scratch=scratch,
                folder=folder,
                temporal_cli=None,
                options=Options(),
                emit=emit,
                project=self.project,
                spawner=self._spawner,
                admission=self._admission,
                ports=self._ports,
            )
            servers = DevFactory(self.host.cli.path)
            async with SharingFactory(servers, context.run_tag, scratch, folder) as sharing:
                await run_all(
                    [scenario], replace(context, temporal_factory=sharing), results.append
                )
        return results[0]

    @asynccontextmanager
    async def _open(self, tell: Tell) -> AsyncIterator[Lanes]:
        means = Means(
            target=self.target,
            temporal_cli=self.host.cli.path,
            reaper=self.host.reaper,
            say=lambda _: None,
            lanes=self.host.slots,
        )
        with self.host.fresh_folder("stack-") as folder:
            async with lanes_on(means, folder, self._spawner, self.host.meter, tell) as lanes:
                yield lanes

    async def close(self) -> None:
        """End its stack."""
        await self._warm.close()


@asynccontextmanager
async def open_machine(host: Host, target: Target, project: Path) -> AsyncIterator[Machine]:
    """A machine for a target. It leaves nothing running.

        async with open_machine(host, target, project) as machine, machine.lane() as held:
            await held.lane.attempt(spec, folder)

    The host's meter is `metered()` of the lanes.
    """
    with spawning(host.reaper, target.preload, target.folder_in(project)) as spawner:
        machine = Machine(host, target, project, spawner)
        try:
            yield machine
        finally:
            await machine.close()

"""A campaign on this machine: a control server, worker processes that stand for machines, and a
place for the evidence. All of it is what a user starts; nothing is left behind.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import fsspec  # type: ignore[import-untyped]  # it has no types
import psutil

from benchmarks.bed import Bed
from benchmarks.metrics import Counts, read_counts
from benchmarks.share import Share, share
from chaos.environment.server import DATABASE, LAZY, SERVER, TemporalServer
from chaos.environment.temporal import OWN_CONFIG
from chaos.evidence.journal import Journal
from chaos.process.child import Child, child_environment
from chaos.process.ports import Port
from chaos.process.reaper import tagged_processes
from chaos.process.waiting import wait_until

ORDERS = Path(__file__).parent.parent / "examples" / "orders"
"""The project whose cases are run."""

CHAOS = (sys.executable, "-m", "chaos")
CORES = 0.5
"""Of a worker process, and of all that it starts."""

BUCKET = "evidence"
_GONE_SECONDS = 60.0


@dataclass(frozen=True)
class Place:
    """Where the evidence goes, and the variables by which it is found."""

    url: str
    environment: Mapping[str, str]


@dataclass
class Control:
    """A control cluster: a dev server on a database file, with its own metrics."""

    server: TemporalServer
    metrics: Port

    @property
    def address(self) -> str:
        """`host:port`."""
        return self.server.address

    @property
    def cpu_seconds(self) -> float:
        """Of the newest start of its process, until now."""
        times = psutil.Process(self.server.child.pid).cpu_times()
        return float(times.user + times.system)

    async def counts(self) -> Counts:
        """What it was asked, and what it asked of its database, since its newest start."""
        return await read_counts(self.metrics.number)

    async def restart(self) -> None:
        """SIGKILL, and start it again on its database."""
        await self.server.child.kill()
        await self.server.start()


@dataclass
class Fleet:
    """Worker processes, each under a name that stays with the machine for which it stands."""

    machines: Mapping[str, Child]
    shares: Mapping[str, Share | None]
    started: list[int] = field(default_factory=list)
    """The pids of all that were ever started."""

    def start(self, name: str) -> None:
        """Start a machine's worker, or start it again."""
        child = self.machines[name]
        child.start()
        self.started.append(child.pid)

    @property
    def cpu_seconds(self) -> float | None:
        """Of all workers and of all that they started; None where no cgroup counts it."""
        made = [each.cpu_seconds for each in self.shares.values() if each]
        return sum(made) if len(made) == len(self.shares) else None

    def left(self) -> Sequence[str]:
        """What is there of workers that have ended: processes and temporary folders."""
        ended = [pid for pid in self.started if not psutil.pid_exists(pid)]
        runs = tuple(f"chaos-run-{pid}-" for pid in ended)
        processes = [
            f"process {each.pid} of {Path(tag).name}"
            for each, tag in tagged_processes()
            if Path(tag).name.startswith(runs)
        ]
        folders = Path(tempfile.gettempdir()).glob("chaos-run-*")
        return [*processes, *(str(each) for each in folders if each.name.startswith(runs))]

    async def end(self) -> None:
        """SIGTERM to all, wait until they have ended, and then until nothing of any of them is
        left. Raises DeadlineExceededError.
        """
        living = [child for child in self.machines.values() if child.is_alive]
        await asyncio.gather(*(child.terminate(_GONE_SECONDS) for child in living))
        await wait_until(
            lambda: not self.left(),
            what="nothing is left of the workers",
            deadline_seconds=_GONE_SECONDS,
        )


@dataclass(frozen=True)
class CampaignBed:
    """Starts them; all processes have a name of their own, and their logs are in `folder`."""

    bed: Bed
    folder: Path
    journal: Journal
    place: Place

    def child(
        self, name: str, argv: Sequence[str], extra: Mapping[str, str], folder: Path
    ) -> Child:
        """A process in a folder, with the variables of the place."""
        return Child(
            name=name,
            argv=argv,
            environment=child_environment(
                self.bed.run_tag, self.folder, {**self.place.environment, **extra}
            ),
            folder=folder,
            log=self.folder / f"{name}.log",
            journal=self.journal,
        )

    @asynccontextmanager
    async def control(self) -> AsyncIterator[Control]:
        """A control cluster that answers."""
        port, metrics = Port(), Port()
        database = self.folder / DATABASE
        argv = TemporalServer.argv(self.bed.temporal_cli, port, database, OWN_CONFIG)
        argv += ["--metrics-port", str(metrics.number)]
        server = TemporalServer(self.child(SERVER, argv, LAZY, self.folder), port, database)
        try:
            await server.start()
            yield Control(server, metrics)
        finally:
            await server.discard()
            metrics.release()

    @asynccontextmanager
    async def fleet(
        self,
        control: Control,
        count: int,
        *,
        cores: float | None = CORES,
        at_most: int | None = None,
    ) -> AsyncIterator[Fleet]:
        """So many workers, each with its share of the machine where that can be made; all of it
        where that is None. `at_most` is how many cases each has at once, if not the usual number.
        """
        names = [f"machine{number}" for number in range(1, count + 1)]
        run = Path(self.bed.run_tag).name
        with ExitStack() as stack:
            shares = {
                name: stack.enter_context(share(f"{run}-{name}", cores)) if cores else None
                for name in names
            }
            argv = [*CHAOS, "worker", "--on", control.address]
            argv += ["--temporal-cli", str(self.bed.temporal_cli)]
            argv += ["--at-most", str(at_most)] if at_most else []
            machines = {
                name: self.child(name, made.entering(argv) if made else argv, {}, ORDERS)
                for name, made in shares.items()
            }
            fleet = Fleet(machines, shares)
            try:
                for name in names:
                    fleet.start(name)
                yield fleet
            finally:
                await fleet.end()

    def explore(self, control: Control, *arguments: str) -> Child:
        """The command that starts a campaign and follows it, not started yet."""
        argv = [*CHAOS, "explore", "--on", control.address, "--evidence", self.place.url]
        reports = f"--reports={self.folder / 'reports'}"
        return self.child("explore", [*argv, reports, *arguments], {}, ORDERS)


@asynccontextmanager
async def campaign_bed(bed: Bed, name: str, *, s3: bool = False) -> AsyncIterator[CampaignBed]:
    """What a campaign needs besides its processes. Its evidence is in a folder, or in a bucket of
    an S3 server of its own, which the variables of this process name meanwhile.
    """
    folder = bed.folder / name
    folder.mkdir()
    journal = Journal(folder / "journal.jsonl", lambda _: None)
    async with AsyncExitStack() as ends:
        ends.callback(journal.close)
        if s3:
            place = await ends.enter_async_context(_bucket(bed, folder, journal))
        else:
            place = Place((folder / "evidence").as_uri(), {})
        yield CampaignBed(bed, folder, journal, place)


@asynccontextmanager
async def _bucket(bed: Bed, folder: Path, journal: Journal) -> AsyncIterator[Place]:
    """An S3 server on loopback, moto's, and an empty bucket in it."""
    if not find_spec("moto") or not find_spec("s3fs"):
        raise RuntimeError("the evidence cannot be in S3 without moto and s3fs: install them.")
    port = Port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{port.address}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    argv = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port.number))
    own = child_environment(bed.run_tag, folder, environment)
    server = Child("s3", argv, own, folder, folder / "s3.log", journal)
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        await server.start_ready(port.is_open, what="the S3 server answers", deadline_seconds=60)
        files = await asyncio.to_thread(partial(fsspec.filesystem, "s3", skip_instance_cache=True))
        await asyncio.to_thread(files.mkdir, BUCKET)
        yield Place(f"s3://{BUCKET}", environment)
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
        await server.discard()
        port.release()

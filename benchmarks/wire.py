"""What the wire costs: calls, and workflows of a worker, through it and past it, in turns.

python -m benchmarks.wire [--calls N] [--workflows N]
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from argparse import ArgumentParser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from chaos.environment.server import TemporalServer
from chaos.environment.temporal import OWN_CONFIG, connect
from chaos.evidence.journal import Journal
from chaos.process.child import Child, child_environment
from chaos.process.ports import Port
from chaos.process.programs import find_temporal_cli
from chaos.process.reaper import Reaper
from chaos.wire.control import LineSpec, Upstream, Wire

_DEADLINE_SECONDS = 30.0
_SAMPLE = 50
"""Calls by one way before it is the other's turn."""

_ROUNDS = 3
_AT_ONCE = 20
_WORKER = Path(__file__).parents[1] / "tests" / "data" / "guests" / "parcels" / "worker.py"
_DIRECT, _WIRE = "direct", "wire"


@dataclass
class Way:
    """From here to the server."""

    name: str
    address: str
    client: Client
    calls: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)


@dataclass
class Bed:
    """The server, the wire, and both ways."""

    reaper: Reaper
    folder: Path
    journal: Journal
    children: list[Child] = field(default_factory=list)

    def child(self, name: str, argv: list[str], address: str = "") -> Child:
        """A process that is ended with the bed."""
        environment = child_environment(
            self.reaper.run_tag, self.folder, {"TEMPORAL_ADDRESS": address}
        )
        log = self.folder / f"{name}.log"
        self.children.append(Child(name, argv, environment, self.folder, log, self.journal))
        return self.children[-1]

    @asynccontextmanager
    async def ways(self, cli: Path) -> AsyncIterator[list[Way]]:
        """Past the wire, and through it."""
        port, control, line = Port(), Port(), Port()
        server = self.child("server", TemporalServer.argv(cli, port, None, OWN_CONFIG))
        await TemporalServer(server, port).start()
        options = ["--control", str(control.number), "--journals", str(self.folder / "wire")]
        process = self.child("wire-process", [sys.executable, "-m", "chaos.wire", *options])
        await process.start_ready(
            control.is_open, what="the wire listens", deadline_seconds=_DEADLINE_SECONDS
        )
        wire = await Wire.connect(control.number)
        upstream = Upstream(address=port.address)
        await wire.open(LineSpec(name="worker-1", port=line.number, upstream=upstream))
        try:
            yield [
                Way(_DIRECT, port.address, await connect(port.address)),
                Way(_WIRE, line.address, await connect(line.address)),
            ]
        finally:
            await wire.aclose()
            for child in self.children:
                await child.discard()
            for each in (port, control, line):
                each.release()


async def _call(way: Way, count: int) -> None:
    """One after the other."""
    request = DescribeNamespaceRequest(namespace="default")
    for _ in range(count):
        began = time.perf_counter()
        await way.client.workflow_service.describe_namespace(request)
        way.calls.append(time.perf_counter() - began)


async def _work(bed: Bed, way: Way, count: int) -> None:
    """So many small workflows by a worker that is new, some at once."""
    worker = bed.child(f"worker-{way.name}", [sys.executable, str(_WORKER)], way.address)
    worker.start()
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def one(name: str) -> None:
        async with at_once:
            workflow_id = f"{way.name}-{len(way.seconds)}-{name}"
            start = way.client.execute_workflow
            await start("Packing", "A", id=workflow_id, task_queue="parcels")

    await one("first")  # the worker is there
    cpu, began = _cpu_seconds(bed), time.perf_counter()
    await asyncio.gather(*(one(str(number)) for number in range(count)))
    way.seconds.append(time.perf_counter() - began)
    way.cpu_seconds.append(_cpu_seconds(bed) - cpu)
    await worker.kill()


def _cpu_seconds(bed: Bed) -> float:
    """Of this process, the server, the wire and the worker."""
    alive = [psutil.Process(child.pid) for child in bed.children if child.is_alive]
    times = [process.cpu_times() for process in (psutil.Process(), *alive)]
    return sum(each.user + each.system for each in times)


async def run(reaper: Reaper, calls: int, workflows: int) -> None:
    """Measure both ways in turns, and print what was found."""
    folder = reaper.folder / "benchmark"
    folder.mkdir()
    bed = Bed(reaper, folder, Journal(folder / "journal.jsonl", lambda _: None))
    cli = find_temporal_cli(None, announce=lambda _: None).path
    async with bed.ways(cli) as ways:
        for _ in range(0, calls, _SAMPLE):
            for way in ways:
                await _call(way, _SAMPLE)
        for number in range(_ROUNDS if workflows else 0):
            # In another order each time: whoever comes first finds a cooler processor.
            for way in ways[:: -1 if number % 2 else 1]:
                await _work(bed, way, workflows)
    bed.journal.close()
    _print(ways)


def _print(ways: list[Way]) -> None:
    for way in ways:
        median, p99 = statistics.median(way.calls), statistics.quantiles(way.calls, n=100)[-1]
        line = f"{way.name}: a call {median * 1e3:.2f} ms (p99 {p99 * 1e3:.2f})"
        if way.seconds:
            line += (
                f"; workflows {statistics.median(way.seconds):.2f} s, "
                f"CPU {statistics.median(way.cpu_seconds):.2f} s"
            )
        print(line)  # noqa: T201 - it says what it found
    direct, wire = ways
    added = statistics.median(wire.calls) - statistics.median(direct.calls)
    print(f"added to a call: {added * 1e3:.2f} ms")  # noqa: T201 - as above
    if direct.seconds:
        ratio = statistics.median(wire.seconds) / statistics.median(direct.seconds)
        cpu = statistics.median(wire.cpu_seconds) / statistics.median(direct.cpu_seconds)
        print(f"workflows: {ratio:.2f} x the time, {cpu:.2f} x the CPU")  # noqa: T201 - as above


if __name__ == "__main__":
    parser = ArgumentParser(prog="benchmarks.wire", allow_abbrev=False)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--workflows", type=int, default=500)
    given = parser.parse_args()
    with Reaper() as started:
        asyncio.run(run(started, given.calls, given.workflows))

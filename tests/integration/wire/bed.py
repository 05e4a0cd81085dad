"""The wire's process between a Temporal server and workers of the guest `parcels`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from temporalio.client import Client

from chaos.environment.server import TemporalServer
from chaos.environment.temporal import OWN_CONFIG, connect
from chaos.evidence.journal import Journal
from chaos.process.child import Child, child_environment
from chaos.process.ports import Port
from chaos.process.waiting import wait_until
from chaos.wire.boundary import Boundary, Crossing, Stage
from chaos.wire.control import Breakpoint, Wire
from chaos.wire.journal import Called, Decided, WireRecord, read_wire
from chaos.wire.specs import Decision, LineSpec, Passage, Upstream

DEADLINE_SECONDS = 20.0
QUEUE = "parcels"
WORKER = Path(__file__).parents[2] / "data" / "guests" / "parcels" / "worker.py"


@dataclass
class Bed:
    """Where the processes live; all carry the run's tag."""

    folder: Path
    run_tag: str
    journal: Journal
    children: list[Child] = field(default_factory=list)
    ports: list[Port] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)

    def child(
        self, name: str, argv: Sequence[object], extra: Mapping[str, str] | None = None
    ) -> Child:
        environment = child_environment(self.run_tag, self.folder, extra or {})
        log = self.folder / f"{name}.log"
        child = Child(name, list(map(str, argv)), environment, self.folder, log, self.journal)
        self.children.append(child)
        return child

    def port(self) -> Port:
        self.ports.append(Port())
        return self.ports[-1]

    async def discard(self) -> None:
        for wire in self.wires:
            await wire.aclose()
        for child in self.children:
            await child.discard()
        for port in self.ports:
            port.release()
        self.journal.close()


@asynccontextmanager
async def bed_in(folder: Path, run_tag: str) -> AsyncIterator[Bed]:
    bed = Bed(folder, run_tag, Journal(folder / "journal.jsonl", announce=print))
    try:
        yield bed
    finally:
        await bed.discard()


async def start_server(bed: Bed, cli: Path, *, persistent: bool = False) -> TemporalServer:
    port, database = bed.port(), bed.folder / "temporal.db"
    argv = TemporalServer.argv(cli, port, database if persistent else None, OWN_CONFIG)
    server = TemporalServer(bed.child("server", argv), port)
    await server.start()
    return server


@dataclass
class WireProcess:
    """The process and its client."""

    bed: Bed
    child: Child
    wire: Wire

    def records(self, line: str) -> Sequence[WireRecord]:
        return read_wire(self.bed.folder)[line]

    def calls(self, line: str, method: str = "") -> list[Called]:
        """Those that are over, of a method or of all."""
        found = (record for record in self.records(line) if isinstance(record, Called))
        return [call for call in found if method in {"", call.method}]

    def decisions(self, line: str) -> list[str]:
        return [r.decision for r in self.records(line) if isinstance(r, Decided)]

    async def line(self, name: str, upstream: Upstream | str, namespace: str = "") -> Port:
        """A new line, at a port of its own."""
        if isinstance(upstream, str):
            upstream = Upstream(address=upstream)
        port = self.bed.port()
        spec = LineSpec(name=name, port=port.number, upstream=upstream, namespace=namespace)
        await self.wire.open(spec)
        return port


async def start_wire(bed: Bed) -> WireProcess:
    control = bed.port()
    options = ("--control", control.number, "--case", bed.folder)
    child = bed.child("wire", [sys.executable, "-m", "chaos.wire", *options])
    await child.start_ready(
        control.is_open, what="the wire listens", deadline_seconds=DEADLINE_SECONDS
    )
    bed.wires.append(await Wire.connect(control.number))
    return WireProcess(bed, child, bed.wires[-1])


@dataclass
class Lane:
    """A line of a test's own with a worker behind it, and a client beside it."""

    process: WireProcess
    line: str
    port: Port
    client: Client
    worker: Child

    @property
    def wire(self) -> Wire:
        return self.process.wire

    async def start_worker(self) -> None:
        """Start it (again) and wait until it polls for both kinds."""
        seen = len(self.wire.polls(self.line))
        self.worker.start()

        def polls() -> bool:
            new = self.wire.polls(self.line)[seen:]
            return {each.kind for each in new if each.queue == QUEUE} == {"workflow", "activity"}

        await wait_until(polls, what="the worker polls", deadline_seconds=DEADLINE_SECONDS)

    async def set(self, text: str, attempt: int = 0) -> Breakpoint:
        return await self.wire.set(Boundary.parse(text), line=self.line, attempt=attempt)

    def crossings(self, workflow_id: str) -> list[Crossing]:
        """All that a workflow's calls were at, call by call."""
        calls = self.process.calls(self.line)
        return [c for call in calls for c in call.crossings if c.workflow_id == workflow_id]


@asynccontextmanager
async def lane_of(
    process: WireProcess,
    address: str,
    *,
    namespace: str = "default",
    is_rewritten: bool = True,
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[Lane]:
    """One whose worker runs; the client goes past the wire."""
    name = f"worker-{uuid4().hex[:8]}"
    port = await process.line(name, address, namespace if is_rewritten else "")
    environment = {"TEMPORAL_ADDRESS": port.address, **(settings or {})}
    worker = process.bed.child(name, [sys.executable, WORKER], environment)
    lane = Lane(process, name, port, await connect(address, namespace=namespace), worker)
    try:
        await lane.start_worker()
        yield lane
    finally:
        await worker.discard()
        await process.wire.close_line(name)


async def reached(halt: Breakpoint) -> Passage:
    async with asyncio.timeout(DEADLINE_SECONDS):
        return await halt.reached()


async def resume(wire: Wire, halt: Breakpoint) -> Passage:
    """Wait until a call is held there, and let it go on."""
    passage = await reached(halt)
    await wire.decide(passage, Decision.RESUME)
    return passage


def stages(crossings: Sequence[Crossing], what: str) -> list[Stage]:
    """Of one kind and subject, such as `activity pack`, in order."""
    return [
        c.boundary.stage for c in crossings if f"{c.boundary.kind} {c.boundary.subject}" == what
    ]

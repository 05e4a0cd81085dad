"""What stands between a worker and its server costs: nothing, the TCP proxy, the wire, in turns."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from benchmarks.bed import Bed
from benchmarks.figures import Found, Quantity, Row, Table, seconds
from chaos.environment.factory import ProcessFactory
from chaos.environment.temporal import connect
from chaos.environment.wire import WireServer
from chaos.wire.specs import Upstream
from tests.chaos.video.lab import VideoLab

QUESTION = "What does a proxy between a worker and its server add to a call, and to workflows?"

DIRECT, TCP, WIRE = "direct", "TCP proxy", "wire"
CALLS, QUICK_CALLS = 2000, 200
WORKFLOWS, QUICK_WORKFLOWS = 300, 30
ROUNDS = 3

_TURN = 50
"""Calls by one way before it is the other's turn."""

_AT_ONCE = 20
_WORKER = Path(__file__).parents[1] / "tests" / "data" / "guests" / "parcels" / "worker.py"


@dataclass
class Way:
    """From here to the server: seconds of each call, and of all workflows of each round."""

    address: str
    client: Client
    calls: list[float] = field(default_factory=list)
    workflows: list[float] = field(default_factory=list)


async def measure(bed: Bed, *, quick: bool) -> Found:
    """All ways in turns, on one server."""
    async with bed.lab("proxies") as lab, _ways(bed.processes(lab), lab) as ways:
        for _ in range(0, QUICK_CALLS if quick else CALLS, _TURN):
            for way in ways.values():
                await _call(way)
        for number in range(ROUNDS):
            # In another order each time: the first finds a cooler processor.
            for name in list(ways)[:: -1 if number % 2 else 1]:
                await _work(bed.processes(lab), name, ways[name], quick=quick)
        return found(ways)


@asynccontextmanager
async def _ways(processes: ProcessFactory, lab: VideoLab) -> AsyncIterator[Mapping[str, Way]]:
    server = lab.stack.temporal.address
    lines = WireServer.below(processes, lab.stack.evidence_folder / "proxies")
    try:
        link = await lines.open_link("client>server", server)
        line = await lines.open("worker-1", Upstream(address=server))
        addresses = {DIRECT: server, TCP: link.address, WIRE: line.port.address}
        yield {name: Way(address, await connect(address)) for name, address in addresses.items()}
    finally:
        await lines.discard()


async def _call(way: Way) -> None:
    """One after the other."""
    request = DescribeNamespaceRequest(namespace="default")
    for _ in range(_TURN):
        began = time.perf_counter()
        await way.client.workflow_service.describe_namespace(request)
        way.calls.append(time.perf_counter() - began)


async def _work(processes: ProcessFactory, name: str, way: Way, *, quick: bool) -> None:
    """Small workflows of a worker that is new, some at once."""
    environment = {"TEMPORAL_ADDRESS": way.address}
    child = processes.child(
        f"parcels-{name}-{len(way.workflows)}".replace(" ", "-"),
        (sys.executable, str(_WORKER)),
        environment,
    )
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> None:
        async with at_once:
            workflow_id = f"{child.name}-{number}"
            start = way.client.execute_workflow
            await start("Packing", "A", id=workflow_id, task_queue="parcels")

    child.start()
    try:
        await one(0)  # the worker is there
        began = time.perf_counter()
        numbers = range(1, 1 + (QUICK_WORKFLOWS if quick else WORKFLOWS))
        await asyncio.gather(*map(one, numbers))
        way.workflows.append(time.perf_counter() - began)
    finally:
        await child.discard()


def found(ways: Mapping[str, Way]) -> Found:
    """A row for each way."""
    median = _milliseconds([statistics.median(ways[DIRECT].calls)])
    direct = seconds(*ways[DIRECT].workflows)
    rows = []
    for name, way in ways.items():
        call = _milliseconds([statistics.median(way.calls)])
        work = seconds(*way.workflows)
        cells = {
            "a call": call,
            "p99": _milliseconds([statistics.quantiles(way.calls, n=100)[-1]]),
            "call ÷ direct": call.over(median),
            "workflows": work,
            "workflows ÷ direct": work.over(direct),
        }
        rows.append(Row(name=name, cells=cells))
    title = f"Calls one by one; small workflows, {_AT_ONCE} at once"
    return Found(tables=(Table(title=title, rows=tuple(rows)),))


def _milliseconds(values: Sequence[float]) -> Quantity:
    return Quantity(values=tuple(round(1000 * value, 3) for value in values), unit="ms")

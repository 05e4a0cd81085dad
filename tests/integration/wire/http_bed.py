"""A line to a service that is a process of its own, and what is seen of it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx

from chaos.process.child import Child
from chaos.process.ports import Port
from chaos.process.waiting import wait_until
from chaos.wire.boundary import Boundary
from chaos.wire.control import Breakpoint, Wire
from chaos.wire.journal import Called
from chaos.wire.specs import LineSpec, Protocol, Upstream
from tests.integration.wire.bed import DEADLINE_SECONDS, Bed, WireProcess

SERVICE = Path(__file__).parent / "service.py"


@dataclass
class Service:
    """A line of a test's own, and the service behind it."""

    process: WireProcess
    line: str
    port: Port
    child: Child
    direct: Port
    books: Path

    @property
    def wire(self) -> Wire:
        return self.process.wire

    @property
    def url(self) -> str:
        return f"http://{self.port.address}"

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=DEADLINE_SECONDS)

    async def set(self, text: str) -> Breakpoint:
        return await self.wire.set(Boundary.parse(text), line=self.line)

    def booked(self) -> Sequence[tuple[str, str]]:
        """What it was asked for, and the hashes of the bodies."""
        return [tuple(json.loads(line)) for line in self.books.read_text().splitlines()]

    async def calls(self, count: int) -> Sequence[Called]:
        """On record, once there are so many."""

        async def are_there() -> bool:
            return len(self.process.calls(self.line)) >= count

        await wait_until(are_there, what="the records", deadline_seconds=DEADLINE_SECONDS)
        found = self.process.calls(self.line)
        assert len(found) == count
        return found

    async def raw(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the line."""
        return await asyncio.open_connection("127.0.0.1", self.port.number)


@asynccontextmanager
async def service_in(
    bed: Bed,
    process: WireProcess,
    worker: str = "",
    *,
    certificates: Path | None = None,
    tls: Upstream | None = None,
) -> AsyncIterator[Service]:
    """A service, and a line to it: a worker's, or one of nobody."""
    name = uuid4().hex[:8]
    direct, port, books = bed.port(), bed.port(), bed.folder / f"{name}.books"
    given = [certificates] if certificates else []
    child = bed.child(name, [sys.executable, SERVICE, direct.number, books, *given])
    await child.start_ready(direct.is_open, what="it listens", deadline_seconds=DEADLINE_SECONDS)
    line = f"{worker or name}>payments"
    upstream = (tls or Upstream(address="")).model_copy(update={"address": direct.address})
    spec = LineSpec(name=line, port=port.number, protocol=Protocol.HTTP, upstream=upstream)
    await process.wire.open(spec)
    try:
        yield Service(process, line, port, child, direct, books)
    finally:
        await process.wire.close_line(line)
        await child.discard()

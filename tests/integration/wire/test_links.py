"""Lines of TCP in the real process: what its clock, its sockets and its journal add to the units.

What each toxic does byte by byte is shown in `tests/unit/chaos/network`.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pytest
import pytest_asyncio
import trustme

from chaos.network.journal import (
    Closed,
    Effect,
    Hit,
    Opened,
    PutOn,
    Started,
    Stopped,
    TakenOff,
    Unreachable,
    read_links,
)
from chaos.network.toxics import BlackHole, Down, HalfOpen, Latency, Side, Stream
from chaos.process.ports import Port
from chaos.process.reaper import Reaper
from chaos.process.waiting import wait_until
from chaos.wire.control import Network
from chaos.wire.specs import LineSpec, Protocol, Upstream, WireError
from tests.integration.wire.bed import DEADLINE_SECONDS, WireProcess, bed_in, start_wire

pytestmark = pytest.mark.asyncio(loop_scope="module")

_Record = TypeVar("_Record")

CONNECTIONS = 200
End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Link:
    """A line of TCP whose server is the test itself."""

    process: WireProcess
    name: str
    port: Port
    network: Network
    came: asyncio.Queue[End] = field(default_factory=asyncio.Queue)
    ends: list[End] = field(default_factory=list)

    async def dial(self) -> End:
        self.ends.append(await asyncio.open_connection("127.0.0.1", self.port.number))
        return self.ends[-1]

    async def pair(self) -> tuple[End, End]:
        """The client's and the server's end of one more connection."""
        client = await self.dial()
        async with asyncio.timeout(DEADLINE_SECONDS):
            self.ends.append(server := await self.came.get())
        name = "{}:{}".format(*client[1].get_extra_info("sockname"))
        await wait_until(
            lambda: any(opened.client == name for opened in self.records(Opened)),
            what="the line counts it among the established ones",
            deadline_seconds=DEADLINE_SECONDS,
        )
        return client, server

    def records(self, kind: type[_Record]) -> list[_Record]:
        found = read_links(self.process.bed.folder)[self.name]
        return [record for record in found if isinstance(record, kind)]


async def link_of(process: WireProcess, address: str) -> Link:
    name = f"{uuid4().hex[:8]}>server"
    port = process.bed.port()
    upstream = Upstream(address=address)
    spec = LineSpec(name=name, port=port.number, protocol=Protocol.TCP, upstream=upstream, seed=7)
    await process.wire.open(spec)
    return Link(process, name, port, Network(process.wire, name))


@asynccontextmanager
async def linked(process: WireProcess) -> AsyncIterator[Link]:
    """One more link to the test itself."""
    came: asyncio.Queue[End] = asyncio.Queue()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.put_nowait((reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, backlog=512)
    link = await link_of(process, "{}:{}".format(*server.sockets[0].getsockname()))
    link.came = came
    try:
        yield link
    finally:
        for _, writer in link.ends:
            writer.close()
        server.close()


@pytest_asyncio.fixture(loop_scope="module")
async def link(process: WireProcess) -> AsyncIterator[Link]:
    async with linked(process) as link:
        yield link


async def says(sender: End, receiver: End, data: bytes) -> float:
    """How long data takes from one end to the other."""
    began = time.monotonic()
    sender[1].write(data)
    async with asyncio.timeout(DEADLINE_SECONDS):
        assert await receiver[0].readexactly(len(data)) == data
    return time.monotonic() - began


async def hears_nothing(end: End, seconds: float = 0.3) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await end[0].read(1)
            return False
    return True


async def is_reset(end: End) -> bool:
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await end[0].read() == b"never"
    except ConnectionResetError:
        return True


async def test_tls_passes_untouched(link: Link) -> None:
    authority = trustme.CA()
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(theirs)
    authority.configure_trust(ours)
    client, server = await link.pair()
    await asyncio.gather(
        server[1].start_tls(theirs), client[1].start_tls(ours, server_hostname="localhost")
    )
    await says(client, server, b"secret")


async def test_latency_is_felt_at_once_in_its_direction_and_in_the_middle_of_a_wait(
    link: Link,
) -> None:
    client, server = await link.pair()
    await link.network.add(Latency(stream=Stream.UPSTREAM, latency_seconds=0.4))
    assert 0.4 <= min([await says(client, server, b"x") for _ in range(3)]) < 0.6
    assert min([await says(server, client, b"x") for _ in range(3)]) < 0.2
    await link.network.clear()
    await link.network.add(Latency(stream=Stream.UPSTREAM, latency_seconds=60))
    client[1].write(b"late")
    assert await hears_nothing(server)
    await link.network.remove("latency_upstream")
    assert await server[0].readexactly(4) == b"late"


async def test_down_cuts_and_refuses_until_it_is_lifted_and_keeps_its_port(link: Link) -> None:
    client, server = await link.pair()
    await link.network.add(Down())
    assert await client[0].read() == await server[0].read() == b""
    with pytest.raises(ConnectionRefusedError):
        await link.dial()
    link.port.release()  # or the test itself would hold it
    with contextlib.closing(socket.socket()) as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", link.port.number))
    await link.network.remove("down")
    await says(*await link.pair(), b"again")


async def test_half_open_says_nothing_to_who_is_left(link: Link) -> None:
    lost, survivor = await link.pair()
    await link.network.add(HalfOpen(gone=Side.CLIENT))
    assert await is_reset(lost)
    survivor[1].write(b"anybody there?")
    assert await hears_nothing(survivor)
    await says(*await link.pair(), b"a new one works")
    await link.network.clear()
    assert await is_reset(survivor)


async def test_many_connections_are_all_hit_at_once_and_all_healed(link: Link) -> None:
    pairs = [await link.pair() for _ in range(CONNECTIONS)]
    texts = [f"from {number:03}".encode() for number in range(CONNECTIONS)]
    there = await link.network.add(BlackHole(stream=Stream.BOTH))
    assert len(there) == CONNECTIONS
    for (client, _), text in zip(pairs, texts, strict=True):
        client[1].write(text)
    assert all(await asyncio.gather(*(hears_nothing(server, 0.5) for _, server in pairs)))
    assert {hit.connection for hit in link.records(Hit)} == set(there)
    await link.network.clear()
    heard = await asyncio.gather(*(server[0].readexactly(8) for _, server in pairs))
    assert sorted(heard) == texts
    assert [effect.held_bytes for effect in link.records(Effect)] == [8] * CONNECTIONS


async def test_a_name_is_used_once_and_what_is_not_on_cannot_be_taken_off(link: Link) -> None:
    hole = BlackHole(stream=Stream.BOTH)
    slow = Latency(name="slow", stream=Stream.UPSTREAM, latency_seconds=1)
    for toxic in (hole, slow):
        await link.network.add(toxic)
    assert await link.network.toxics() == (hole, slow)
    with pytest.raises(WireError, match="A toxic named black_hole is on"):
        await link.network.add(hole)
    with pytest.raises(WireError, match="No toxic named fire is on"):
        await link.network.remove("fire")
    with pytest.raises(WireError, match="No link nowhere is open"):
        await Network(link.process.wire, "nowhere").toxics()


async def test_connections_and_their_bytes_are_told_and_recorded(link: Link) -> None:
    client, server = await link.pair()
    await says(client, server, b"question")
    there = await link.network.add(BlackHole(stream=Stream.DOWNSTREAM))
    server[1].write(b"answer")

    async def has_come() -> bool:
        (status,) = await link.network.connections()
        return status.downstream.held_bytes == 6

    await wait_until(has_come, what="6 are held", deadline_seconds=DEADLINE_SECONDS)
    (status,) = await link.network.connections()
    assert status.client == "{}:{}".format(*client[1].get_extra_info("sockname"))
    assert (status.upstream.received_bytes, status.upstream.sent_bytes) == (8, 8)
    await link.network.clear()
    (opened,), (hit,), (effect,) = link.records(Opened), link.records(Hit), link.records(Effect)
    (put_on,), (off,) = link.records(PutOn), link.records(TakenOff)
    assert (opened.client, opened.connection) == (status.client, hit.connection)
    assert put_on.connections == there == (opened.connection,)
    assert (hit.stream, effect.held_bytes) == (Stream.DOWNSTREAM, 6)
    assert put_on.at <= hit.at <= off.at


async def test_a_server_that_is_not_there_is_a_reset(process: WireProcess) -> None:
    with contextlib.closing(socket.socket()) as nobody:
        nobody.bind(("127.0.0.1", 0))
        link = await link_of(process, "{}:{}".format(*nobody.getsockname()))
        address = ("127.0.0.1", link.port.number)
        with (
            pytest.raises(ConnectionResetError),  # which may come before it is connected
            socket.create_connection(address, timeout=DEADLINE_SECONDS) as client,
        ):
            client.recv(1)
        (told,) = link.records(Unreachable)
    assert "refused" in told.reason


async def test_an_address_that_is_none_is_explained(process: WireProcess) -> None:
    with pytest.raises(WireError, match="'localhost' is not an address"):
        await link_of(process, "localhost")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_its_end_cuts_its_connections_and_is_on_record(
    reaper: Reaper, tmp_path: Path, number: signal.Signals
) -> None:
    async with bed_in(tmp_path, reaper.run_tag) as bed, linked(await start_wire(bed)) as link:
        client, server = await link.pair()
        await link.network.add(BlackHole(stream=Stream.BOTH))
        client[1].write(b"held")
        await wait_until(
            lambda: bool(link.records(Hit)), what="it hits", deadline_seconds=DEADLINE_SECONDS
        )
        link.process.child.send(number)
        await link.process.child.wait(DEADLINE_SECONDS)
        with contextlib.suppress(ConnectionResetError):
            assert await client[0].read() == await server[0].read() == b""
    is_told = number is signal.SIGTERM
    assert len(link.records(Started)) == 1
    assert len(link.records(Stopped)) == is_told
    ends = [(end.because, end.upstream.dropped_bytes) for end in link.records(Closed)]
    assert ends == [("proxy_stopped", 4)] * is_told

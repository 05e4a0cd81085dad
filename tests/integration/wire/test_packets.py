"""Packets that are lost, damaged or reordered below TCP, in real namespaces by the real process."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest

from chaos.environment.packets import why_no_packets
from chaos.environment.wire import PrivateLinks
from chaos.network.packets import Fate, Harm, Harmed, PacketRecord, SentAgain, read_packets
from chaos.process.reaper import Reaper
from chaos.process.waiting import wait_until
from chaos.wire.specs import WireError
from tests.integration.wire.bed import DEADLINE_SECONDS, WireProcess, bed_in, start_wire

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(why_no_packets() is not None, reason=f"{why_no_packets()}"),
]

SIZE_BYTES = 400_000
CLIENT = """\
import hashlib, os, socket, sys
host, port = sys.argv[1].rsplit(":", 1)
there = socket.create_connection((host, int(port)))
there.sendall(b"x" * int(sys.argv[2]))
there.shutdown(socket.SHUT_WR)
digest, size = hashlib.sha256(), 0
while data := there.recv(1 << 16):
    digest.update(data)
    size += len(data)
tcp = [line.split() for line in open("/proc/net/snmp") if line.startswith("Tcp:")]
counted = dict(zip(*tcp))
print(digest.hexdigest(), size, counted["InCsumErrors"], os.stat("/proc/self/ns/net").st_ino)
"""


@dataclass
class Echo:
    """A service that sends back what it gets."""

    address: str
    client: str = field(default_factory=lambda: f"client-{uuid4().hex[:8]}")

    @property
    def link(self) -> str:
        return f"{self.client}>echo"


@asynccontextmanager
async def echo() -> AsyncIterator[Echo]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield Echo("{}:{}".format(*server.sockets[0].getsockname()))


async def private(process: WireProcess, there: Echo) -> PrivateLinks:
    made = await process.wire.send(
        "open_packets", client=there.client, links={there.link: there.address}
    )
    return PrivateLinks(tuple(made["entering"]), made["addresses"], process.wire)


async def begin(links: PrivateLinks, address: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *links.entering,
        *(sys.executable, "-S", "-c", CLIENT, address, str(SIZE_BYTES)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def transfer(links: PrivateLinks, address: str) -> tuple[str, int, int]:
    """What came back, how much, and how many damaged packets the client's kernel dropped."""
    said, wrong = await (await begin(links, address)).communicate()
    assert not wrong, wrong.decode()
    digest, size, damaged, _ = said.decode().split()
    return digest, int(size), int(damaged)


def records(process: WireProcess, there: Echo) -> list[PacketRecord]:
    return list(read_packets(process.bed.folder, there.link))


def fates(found: list[PacketRecord]) -> set[Fate]:
    return {each.fate for each in found if isinstance(each, Harmed) and each.size_bytes}


async def test_a_bad_line_harms_packets_and_no_data(process: WireProcess) -> None:
    harm = Harm(lose=0.05, corrupt=0.05, reorder=0.05, duplicate=0.05, seed=3)
    async with echo() as there:
        links = await private(process, there)
        await links.harm(there.link, harm)
        digest, size, damaged = await transfer(links, links.addresses[there.link])
        await links.spare(there.link)
        again = await transfer(links, links.addresses[there.link])

    whole = hashlib.sha256(b"x" * SIZE_BYTES).hexdigest()
    assert (digest, size) == (whole, SIZE_BYTES)
    assert again[:2] == (whole, SIZE_BYTES)
    found = records(process, there)
    assert fates(found) == {Fate.LOST, Fate.CORRUPTED, Fate.REORDERED, Fate.DUPLICATED}
    assert any(isinstance(each, Harmed) and each.overtaken_by for each in found)
    assert any(isinstance(each, SentAgain) for each in found)
    assert damaged > 0, "the kernel itself has seen damaged packets"


async def test_a_sound_line_harms_nothing(process: WireProcess) -> None:
    async with echo() as there:
        links = await private(process, there)
        _, size, damaged = await transfer(links, links.addresses[there.link])

    assert (size, damaged) == (SIZE_BYTES, 0)
    assert fates(records(process, there)) == set()


async def test_after_a_partition_tcp_goes_on_where_it_was(process: WireProcess) -> None:
    async with echo() as there:
        links = await private(process, there)
        await links.harm(there.link, Harm(lose=1))
        client = await begin(links, links.addresses[there.link])
        await wait_until(
            lambda: any(isinstance(each, Harmed) for each in records(process, there)),
            what="a packet is lost",
            deadline_seconds=DEADLINE_SECONDS,
        )
        assert client.returncode is None
        await links.spare(there.link)
        said, wrong = await client.communicate()

    assert not wrong, wrong.decode()
    assert int(said.split()[1]) == SIZE_BYTES


async def test_a_client_reaches_nothing_but_its_links(process: WireProcess) -> None:
    async with echo() as there:
        links = await private(process, there)
        _, wrong = await (await begin(links, there.address)).communicate()

    assert b"ConnectionRefusedError" in wrong
    assert "chaos0" not in [name for _, name in socket.if_nameindex()]


async def test_what_cannot_be_is_refused(process: WireProcess) -> None:
    async with echo() as there:
        links = await private(process, there)
        await links.harm(there.link, Harm(lose=1))
        with pytest.raises(WireError, match="harmed already"):
            await links.harm(there.link, Harm(lose=1))
        with pytest.raises(WireError, match="there is no link"):
            await links.harm(f"{there.client}>nowhere", Harm(lose=1))
        with pytest.raises(WireError, match="no network of its own"):
            await links.spare("somebody>echo")
        with pytest.raises(WireError, match="has a network of its own"):
            await private(process, there)


async def test_nothing_is_left_when_the_process_is_killed(reaper: Reaper, tmp_path: Path) -> None:
    async with bed_in(tmp_path, reaper.run_tag) as bed, echo() as there:
        process = await start_wire(bed)
        links = await private(process, there)
        probe = await asyncio.create_subprocess_exec(
            *links.entering, "readlink", "/proc/self/ns/net", stdout=asyncio.subprocess.PIPE
        )
        said, _ = await probe.communicate()
        process.child.send(signal.SIGKILL)
        await process.child.wait(DEADLINE_SECONDS)
        await process.wire.aclose()

    assert said.strip()
    assert said.decode().strip() not in _networks()


def _networks() -> set[str]:
    """All network namespaces that a process is in, or has open."""
    found = set()
    for link in [*Path("/proc").glob("[0-9]*/ns/net"), *Path("/proc").glob("[0-9]*/fd/*")]:
        try:
            found.add(str(link.readlink()))
        except OSError:
            continue
    return found

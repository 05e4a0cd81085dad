"""The proxy's process with the test at both of its ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from chaos.evidence.journal import Journal
from chaos.network.control import Network
from chaos.network.journal import NetworkRecord, Opened, read_network_journal
from chaos.process.child import Child, child_environment
from chaos.process.ports import Port
from chaos.process.waiting import wait_until

DEADLINE_SECONDS = 20.0
_LINGER_NONE = struct.pack("ii", 1, 0)
_Record = TypeVar("_Record")


def argv(*options: object) -> list[str]:
    return [sys.executable, "-m", "chaos.network", *(str(option) for option in options)]


@dataclass
class ProxyProcess:
    """The process, the ports that it keeps over restarts, and its control client."""

    child: Child
    port: Port
    control_port: Port
    control: Network
    journal_path: Path

    @classmethod
    def at(cls, folder: Path, run_tag: str, upstream: str, journal: Journal) -> ProxyProcess:
        """One that is not started yet."""
        port, control = Port(), Port()
        path = folder / "network.jsonl"
        options = ("--listen", port.number, "--upstream", upstream, "--control", control.number)
        child = Child(
            name="proxy",
            argv=argv(*options, "--journal", path, "--seed", 7),
            environment=child_environment(run_tag, folder, {}),
            folder=folder,
            log=folder / "proxy.log",
            journal=journal,
        )
        return cls(child, port, control, Network(f"http://{control.address}"), path)

    async def start(self) -> None:
        await self.child.start_ready(
            self.control.health, what="the proxy answers", deadline_seconds=DEADLINE_SECONDS
        )

    def records(self) -> tuple[NetworkRecord, ...]:
        return read_network_journal(self.journal_path)

    async def discard(self) -> None:
        await self.control.aclose()
        await self.child.discard()
        self.port.release()
        self.control_port.release()


@asynccontextmanager
async def running(folder: Path, run_tag: str, upstream: str) -> AsyncIterator[ProxyProcess]:
    """A proxy that goes to an address."""
    journal = Journal(folder / "journal.jsonl", announce=print)
    proxy = ProxyProcess.at(folder, run_tag, upstream, journal)
    try:
        await proxy.start()
        yield proxy
    finally:
        await proxy.discard()
        journal.close()


class End:
    """One end of a connection, in the test's hand."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock

    @property
    def name(self) -> str:
        """Its address, as its peer sees it."""
        return "{}:{}".format(*self.sock.getsockname())

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def read(self) -> bytes:
        """What comes next; empty at the end. Raises ConnectionResetError."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await asyncio.get_running_loop().sock_recv(self.sock, 1 << 18)

    async def receive(self, size_bytes: int) -> bytes:
        """So many bytes. Raises EOFError."""
        parts: list[bytes] = []
        while (left := size_bytes - sum(map(len, parts))) > 0:
            async with asyncio.timeout(DEADLINE_SECONDS):
                parts.append(await asyncio.get_running_loop().sock_recv(self.sock, left))
            if not parts[-1]:
                raise EOFError(f"{left} bytes are missing")
        return b"".join(parts)

    async def hears_nothing(self, seconds: float) -> bool:
        """Whether neither data nor an end comes for so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.get_running_loop().sock_recv(self.sock, 1)
                return False
        return True

    async def is_reset(self) -> bool:
        """Whether the next that it hears is a reset."""
        try:
            heard = await self.read()
        except ConnectionResetError:
            return True
        assert heard == b"", "data came before the end"
        return False

    async def is_closed(self) -> bool:
        """Whether the next that it hears is a regular end."""
        return await self.read() == b""

    def finish(self) -> None:
        """Send no more (FIN)."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Leave with a reset (RST)."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self.sock.close()


@dataclass(frozen=True)
class Pair:
    """Both ends of one connection through the proxy."""

    client: End
    server: End

    async def trip_seconds(self, *, upstream: bool, data: bytes = b"x") -> float:
        """How long data takes from one end to the other."""
        sender, receiver = (self.client, self.server) if upstream else (self.server, self.client)
        began = time.monotonic()
        await sender.send(data)
        assert await receiver.receive(len(data)) == data
        return time.monotonic() - began

    def close(self) -> None:
        self.client.sock.close()
        self.server.sock.close()


class Bed:
    """A running proxy whose server is the test itself."""

    def __init__(self, proxy: ProxyProcess, listener: socket.socket) -> None:
        self.proxy = proxy
        self.network = proxy.control
        self._listener = listener
        self._pairs: list[Pair] = []
        self._begin = len(proxy.records())

    async def dial(self) -> End:
        """A client at the proxy."""
        sock = socket.socket()
        sock.setblocking(False)
        address = ("127.0.0.1", self.proxy.port.number)
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await asyncio.get_running_loop().sock_connect(sock, address)
        except BaseException:
            sock.close()
            raise
        return End(sock)

    async def pair(self) -> Pair:
        """One more connection, which the proxy counts among the established ones."""
        client = await self.dial()
        async with asyncio.timeout(DEADLINE_SECONDS):
            server, _ = await asyncio.get_running_loop().sock_accept(self._listener)
        self._pairs.append(Pair(client, End(server)))
        await wait_until(
            lambda: any(opened.client == client.name for opened in self.all_of(Opened)),
            what="the connection is established",
            deadline_seconds=DEADLINE_SECONDS,
        )
        return self._pairs[-1]

    def all_of(self, kind: type[_Record]) -> list[_Record]:
        """The proxy's records of a kind since the test began."""
        return [r for r in self.proxy.records()[self._begin :] if isinstance(r, kind)]

    def hang_up(self) -> None:
        """End the test's connections."""
        for pair in self._pairs:
            pair.close()

    async def quiet(self) -> None:
        """End the test's connections and faults; wait until the proxy has let go of them."""
        await self.network.clear()
        self.hang_up()

        async def none_left() -> bool:
            return not await self.network.connections()

        await wait_until(none_left, what="all connections end", deadline_seconds=DEADLINE_SECONDS)

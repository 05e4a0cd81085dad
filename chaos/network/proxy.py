"""The proxy: its port, its connections, and the toxics that are on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

from chaos.network.connection import Connection, ConnectionStatus, address_of, close, reset
from chaos.network.journal import (
    NetworkJournal,
    NetworkJournalError,
    NetworkRecord,
    PutOn,
    Started,
    Stopped,
    TakenOff,
    Unreachable,
)
from chaos.network.toxics import AnyToxic
from chaos.network.toxics.base import Ending

HOST = "127.0.0.1"
_BACKLOG = 1024
_OUT_OF_FILES_SECONDS = 0.1


class PortError(Exception):
    """A port cannot be listened at; the message says why and what to do."""


@dataclass(frozen=True)
class Upstream:
    """Where the proxy goes for its clients."""

    host: str
    port: int

    def __str__(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"


def listen(port: int) -> socket.socket:
    """A socket that listens at a port of this machine only. Raises PortError."""
    listener = _bound(port)
    try:
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _refused(port, error.strerror or str(error)) from None
    return listener


def _bound(port: int) -> socket.socket:
    if port == 0:
        raise _refused(port, "it stands for any port")  # which nobody would be told
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setblocking(False)
    # The port may be reserved by a parent that has bound it but does not listen.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) else "no such port"
        raise _refused(port, reason or str(error)) from None
    return listener


def _refused(port: int, reason: str) -> PortError:
    return PortError(f"Port {port} on {HOST} cannot be used ({reason}): choose a free one.")


class Proxy:
    """Listens at a port from `start` to `stop`. `on_failure` gets the sentence with which the
    process has to end, for a fault that leaves no record proves nothing.
    """

    def __init__(
        self,
        port: int,
        upstream: Upstream,
        seed: int,
        journal: NetworkJournal,
        on_failure: Callable[[str], None],
    ) -> None:
        self._port = port
        self._upstream = upstream
        self._seed = seed
        self._journal = journal
        self._on_failure = on_failure
        # Keeps the port while the proxy is down: bound, and never listening.
        self._holder = _bound(port)
        self._listener: socket.socket | None = listen(port)
        self._toxics: dict[str, AnyToxic] = {}
        self._connections: dict[int, Connection] = {}
        self._arriving: dict[asyncio.Task[None], socket.socket] = {}
        self._last_number = 0
        self._loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        """Accept clients, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._record(
            Started(
                listen=f"{HOST}:{self._port}",
                upstream=str(self._upstream),
                seed=self._seed,
                pid=os.getpid(),
            )
        )
        self._accept_from_now()

    def stop(self) -> None:
        """Cut all connections, at once, and free the port."""
        self._refuse()
        for connection in tuple(self._connections.values()):
            connection.end(Ending.CLOSE, "proxy_stopped")
        self._record(Stopped())
        self._holder.close()

    def toxics(self) -> tuple[AnyToxic, ...]:
        """Those that are on, in the order in which data passes them."""
        return tuple(self._toxics.values())

    def connections(self) -> tuple[ConnectionStatus, ...]:
        """The established ones, as they are now."""
        return tuple(connection.status() for connection in self._connections.values())

    def put_on(self, toxic: AnyToxic) -> tuple[int, ...]:
        """Put a toxic on, in the place of one of its name; the connections that it finds."""
        self.take_off(toxic.known_as)
        self._toxics[toxic.known_as] = toxic
        there = tuple(self._connections)
        self._record(PutOn(name=toxic.known_as, toxic=toxic, connections=there))
        if toxic.refuses:
            self._refuse()
        for connection in tuple(self._connections.values()):
            connection.put_on(toxic, self._seed)
        return there

    def take_off(self, name: str) -> bool:
        """Take a toxic off; False where none of that name is on. Raises PortError."""
        toxic = self._toxics.pop(name, None)
        if toxic is None:
            return False
        self._record(TakenOff(name=name))
        for connection in tuple(self._connections.values()):
            connection.take_off(name)
        if self._listener is None and not any(toxic.refuses for toxic in self._toxics.values()):
            self._listener = listen(self._port)
            self._accept_from_now()
        return True

    def _accept_from_now(self) -> None:
        if self._listener:
            self._loop.add_reader(self._listener, self._accept)

    def _refuse(self) -> None:
        """Nobody can connect from now, and who has not arrived yet does not."""
        for task, client in self._arriving.items():
            task.cancel()
            close(client)
        self._arriving.clear()
        if self._listener:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _accept(self) -> None:
        if self._listener is None:
            return
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return
        except OSError:  # out of file descriptors: the client waits, as at a busy machine
            self._loop.remove_reader(self._listener)
            self._loop.call_later(_OUT_OF_FILES_SECONDS, self._accept_from_now)
            return
        self._last_number += 1
        task = self._loop.create_task(self._arrive(self._last_number, client))
        self._arriving[task] = client
        task.add_done_callback(lambda done: self._arriving.pop(done, None))

    async def _arrive(self, number: int, client: socket.socket) -> None:
        _prepare(client)
        try:
            server = await self._connect()
        except (OSError, UnicodeError) as error:
            address = address_of(client, peer=True)
            self._record(Unreachable(connection=number, client=address, reason=_reason(error)))
            reset(client)  # as near to "refused" as it gets for one who was accepted
            return
        connection = Connection(number, (client, server), self._loop, self._record, self._forget)
        self._connections[number] = connection
        connection.open()
        for toxic in self._toxics.values():
            if not toxic.spares_new:
                connection.put_on(toxic, self._seed)
        connection.start()

    async def _connect(self) -> socket.socket:
        """A connection to the server. Raises OSError."""
        found = await self._loop.getaddrinfo(
            self._upstream.host, self._upstream.port, type=socket.SOCK_STREAM
        )
        problem: OSError = ConnectionError("no address")
        for family, kind, protocol, _, address in found:
            server = socket.socket(family, kind, protocol)
            _prepare(server)
            try:
                await self._loop.sock_connect(server, address)
            except OSError as error:
                server.close()
                problem = error
            except BaseException:
                server.close()
                raise
            else:
                return server
        raise problem

    def _forget(self, connection: Connection) -> None:
        del self._connections[connection.number]

    def _record(self, record: NetworkRecord) -> None:
        try:
            self._journal.add(record)
        except NetworkJournalError as error:
            self._on_failure(str(error))


def _reason(error: Exception) -> str:
    """Of a connection that failed; asyncio's own text says only that it did."""
    number = getattr(error, "errno", None) or 0
    return os.strerror(number) if number > 0 else str(error)


def _prepare(sock: socket.socket) -> None:
    sock.setblocking(False)
    # The proxy must not hold small pieces back: that would be a fault nobody asked for.
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

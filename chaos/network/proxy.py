"""A TCP line: its port, its connections, and the toxics that are on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys

from chaos.network.behaviour import Ending
from chaos.network.connection import Connection, ConnectionStatus, address_of, close, reset
from chaos.network.journal import (
    PutOn,
    RecordFile,
    Started,
    Stopped,
    TakenOff,
    Unreachable,
)
from chaos.network.toxics import AnyToxic

HOST = "127.0.0.1"
_BACKLOG = 1024
_OUT_OF_FILES_SECONDS = 0.1


class PortError(Exception):
    """A port cannot be listened at; the message says why and what to do."""


class ToxicError(Exception):
    """A toxic cannot be put on or taken off; the message says why."""


def split_address(text: str) -> tuple[str, int]:
    """Host and port of `host:port`. Raises ValueError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"{text!r} is not an address: give one such as 127.0.0.1:8080.")
    return host.removeprefix("[").removesuffix("]"), int(port)


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
    """Passes on what comes to a port, from `start` to `stop`, to `upstream` (`host:port`). The
    `seed` draws jitter.
    """

    def __init__(self, port: int, upstream: str, seed: int, journal: RecordFile) -> None:
        """Raises ValueError where `upstream` is no address."""
        self._port = port
        self._upstream = split_address(upstream)
        self._seed = seed
        self._journal = journal
        self._holder: socket.socket | None = None
        self._listener: socket.socket | None = None
        self._toxics: dict[str, AnyToxic] = {}
        self._connections: dict[int, Connection] = {}
        self._arriving: dict[asyncio.Task[None], socket.socket] = {}
        self._last_number = 0
        self._loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        """Accept clients, in the running event loop. Raises PortError."""
        if sys.platform == "linux":  # elsewhere nobody can listen at a port that is bound
            # Keeps the port while the line is down: bound, and never listening.
            self._holder = _bound(self._port)
        try:
            self._listener = listen(self._port)
        except PortError:
            self._let_go()
            raise
        self._loop = asyncio.get_running_loop()
        self._journal.add(
            Started(
                listen=f"{HOST}:{self._port}",
                upstream="{}:{}".format(*self._upstream),
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
        self._journal.add(Stopped())
        self._let_go()

    def toxics(self) -> tuple[AnyToxic, ...]:
        """Those that are on, in the order in which data passes them."""
        return tuple(self._toxics.values())

    def connections(self) -> tuple[ConnectionStatus, ...]:
        """The established ones, as they are now."""
        return tuple(connection.status() for connection in self._connections.values())

    def put_on(self, toxic: AnyToxic) -> tuple[int, ...]:
        """Put a toxic on; the connections that it finds. Raises ToxicError."""
        if toxic.known_as in self._toxics:
            raise ToxicError(f"A toxic named {toxic.known_as} is on: give this one another name.")
        self._toxics[toxic.known_as] = toxic
        there = tuple(self._connections)
        self._journal.add(PutOn(name=toxic.known_as, toxic=toxic, connections=there))
        if toxic.refuses:
            self._refuse()
        for connection in tuple(self._connections.values()):
            connection.put_on(toxic, self._seed)
        return there

    def take_off(self, name: str) -> None:
        """Take a toxic off. Raises ToxicError, PortError."""
        if self._toxics.pop(name, None) is None:
            raise ToxicError(f"No toxic named {name} is on.")
        self._journal.add(TakenOff(name=name))
        for connection in tuple(self._connections.values()):
            connection.take_off(name)
        if self._listener is None and not any(toxic.refuses for toxic in self._toxics.values()):
            self._listener = listen(self._port)
            self._accept_from_now()

    def clear(self) -> None:
        """Take all toxics off. Raises PortError."""
        for name in tuple(self._toxics):
            self.take_off(name)

    def _accept_from_now(self) -> None:
        if self._listener:
            self._loop.add_reader(self._listener, self._accept)

    def _refuse(self) -> None:
        """Refuse new clients from now on, and those whose connection is not established yet."""
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
            self._journal.add(Unreachable(connection=number, client=address, reason=_reason(error)))
            reset(client)  # the client was accepted already, so it cannot be refused
            return
        connection = Connection(
            number, (client, server), self._loop, self._journal.add, self._forget
        )
        self._connections[number] = connection
        connection.open()
        for toxic in self._toxics.values():
            if not toxic.spares_new:
                connection.put_on(toxic, self._seed)
        connection.start()

    async def _connect(self) -> socket.socket:
        """A connection to the server. Raises OSError."""
        found = await self._loop.getaddrinfo(*self._upstream, type=socket.SOCK_STREAM)
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

    def _let_go(self) -> None:
        if self._holder:
            self._holder.close()

    def _forget(self, connection: Connection) -> None:
        del self._connections[connection.number]


def _reason(error: Exception) -> str:
    """Of a connection that failed; asyncio's own text says only that it did."""
    number = getattr(error, "errno", None) or 0
    return os.strerror(number) if number > 0 else str(error)


def _prepare(sock: socket.socket) -> None:
    sock.setblocking(False)
    # The proxy must not hold small pieces back: that would be a fault nobody asked for.
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

"""One end of an HTTP/1.1 connection, and what can be done to it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import h11

AHEAD_BYTES = 512 * 1024
"""Twice as much is read ahead, before it is asked for: so it shows that a peer has left."""

_HEAD_BYTES = 256 * 1024
_CHUNK_BYTES = 64 * 1024
_LINGER_NONE = struct.pack("ii", 1, 0)


class PeerLeftError(Exception):
    """The peer has closed its end, or its process is dead."""


class _Reader(asyncio.StreamReader):
    """Tells at once that nothing more comes, even if what came is still unread."""

    def __init__(self, ended: Callable[[], None]) -> None:
        super().__init__(limit=AHEAD_BYTES)
        self._ended = ended

    def feed_eof(self) -> None:
        super().feed_eof()
        self._ended()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self._ended()


class Peer:
    """`role` is ours: `h11.SERVER` to a client, `h11.CLIENT` to a service."""

    def __init__(self, role: type[h11.CLIENT | h11.SERVER]) -> None:
        self.http = h11.Connection(role, max_incomplete_event_size=_HEAD_BYTES)
        self.left = asyncio.Event()
        self.asked_for_head = False
        self._reader = _Reader(self._ended)
        self._writer: asyncio.StreamWriter
        self._scope: asyncio.Timeout | None = None

    @property
    def port(self) -> int:
        """Where its end of the connection is."""
        return int(self._writer.get_extra_info("peername")[1])

    @classmethod
    def accept(cls, use: Callable[[Peer], None]) -> asyncio.StreamReaderProtocol:
        """The protocol for a connection that comes in."""
        peer = cls(h11.SERVER)

        def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peer._writer = writer
            use(peer)

        return asyncio.StreamReaderProtocol(peer._reader, connected)

    @classmethod
    async def connect(cls, host: str, port: int, **tls: Any) -> Peer:
        """A connection to a service. Raises OSError."""
        peer = cls(h11.CLIENT)
        loop = asyncio.get_running_loop()
        protocol = asyncio.StreamReaderProtocol(peer._reader)
        transport, _ = await loop.create_connection(lambda: protocol, host, port, **tls)
        peer._writer = asyncio.StreamWriter(transport, protocol, peer._reader, loop)
        return peer

    async def next(self) -> h11.Event:
        """The next of what it says. Raises OSError, and h11.RemoteProtocolError where that is no
        HTTP or breaks off.
        """
        while (event := self.http.next_event()) is h11.NEED_DATA:
            self.http.receive_data(await self._reader.read(_CHUNK_BYTES))
        if isinstance(event, type):  # h11.PAUSED: it says more than it was asked for
            raise h11.RemoteProtocolError("out of turn")
        if isinstance(event, h11.Request):
            self.asked_for_head = event.method == b"HEAD"
        return event

    async def send(self, event: h11.Event) -> None:
        """Say something, no faster than it listens. Raises OSError."""
        if data := self.http.send(event):
            if self.left.is_set() or self._writer.is_closing():
                raise ConnectionResetError
            self._writer.write(data)
            await self._writer.drain()

    @contextlib.asynccontextmanager
    async def while_there(self) -> AsyncIterator[None]:
        """What is in it is given up when the peer leaves: raises PeerLeftError."""
        outer, scope = self._scope, asyncio.timeout(None)
        try:
            async with scope:
                self._watch(scope)
                yield
        except TimeoutError:
            if not scope.expired():
                raise
            raise PeerLeftError from None
        finally:
            self._watch(outer)

    def rests(self) -> bool:
        """Whether another request can follow; if so, its turn has begun."""
        states = {self.http.our_state, self.http.their_state}
        if states != {h11.DONE} or self._writer.is_closing():
            return False
        self.http.start_next_cycle()
        return True

    def close(self) -> None:
        """What was said still arrives."""
        self._writer.close()

    def reset(self) -> None:
        """Break the connection: the peer gets a reset."""
        sock = self._writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self._writer.transport.abort()

    def _ended(self) -> None:
        self.left.set()
        self._watch(self._scope)

    def _watch(self, scope: asyncio.Timeout | None) -> None:
        self._scope = scope
        if scope and self.left.is_set() and not scope.expired():
            scope.reschedule(0)

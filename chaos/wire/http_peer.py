"""One end of an HTTP/1.1 connection, what can be done to it, and what is said there."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from http import HTTPStatus
from typing import Any, cast

import h11

AHEAD_BYTES = 512 * 1024
"""Twice as much is read ahead, before it is asked for: so it shows that a peer has left."""

_HEAD_BYTES = 256 * 1024
_CHUNK_BYTES = 64 * 1024
_LINGER_NONE = struct.pack("ii", 1, 0)

EARLY_BYTES = 1 << 20
"""So much of a reply is read before it is held, or all that there is."""

_Headers = list[tuple[bytes, bytes]]
_BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


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


def why_refused(request: h11.Request) -> str:
    """What the wire cannot pass on; empty where it can."""
    if request.method == b"CONNECT":
        return "The wire does not support CONNECT: use its address instead of the service's."
    protocol = dict(request.headers).get(b"upgrade", b"h2c").decode("ascii", "replace")
    if protocol.lower() != "h2c":
        return (
            f"The wire does not pass on {protocol[:40]}: let this client connect to the "
            "service itself."
        )
    return ""


def for_service(request: h11.Request) -> h11.Request:
    """The same in HTTP/1.1, and without a wish for HTTP/2, which anybody may ignore."""
    headers = _raw(request)
    if any(name.lower() == b"upgrade" for name, _ in headers):
        of_hop = {b"upgrade", b"http2-settings", b"connection"}
        headers = [each for each in headers if each[0].lower() not in of_hop]
    if request.http_version < b"1.1" and b"host" not in dict(request.headers):
        headers.append((b"Host", b"localhost"))
    return h11.Request(method=request.method, target=request.target, headers=headers)


def for_client(event: h11.Event) -> h11.Event:
    """The same in HTTP/1.1. What the client has to know of an older service is that it will end
    the connection.
    """
    if isinstance(event, h11.InformationalResponse):
        return h11.InformationalResponse(
            status_code=event.status_code, reason=event.reason, headers=_raw(event)
        )
    if isinstance(event, h11.Response):
        headers = _raw(event)
        if event.http_version < b"1.1":
            headers.append((b"Connection", b"close"))
        return h11.Response(status_code=event.status_code, reason=event.reason, headers=headers)
    return event


async def answer(
    client: Peer, status: int, sentence: str, more: Sequence[tuple[str, str]] = ()
) -> None:
    """A reply of our own, with `more` headers. Raises OSError."""
    content = f"{sentence}\n".encode()
    bodiless = status in _BODILESS
    body = [("Content-Type", "text/plain"), ("Content-Length", str(len(content)))]
    headers = [*more, *([] if bodiless else body)]
    reason = HTTPStatus(status).phrase
    await client.send(h11.Response(status_code=status, reason=reason, headers=headers))
    if not bodiless and not client.asked_for_head:
        await client.send(h11.Data(data=content))
    await client.send(h11.EndOfMessage())


async def read_early(upstream: Peer, events: list[h11.Event]) -> None:
    """Read a reply on, which begins with these, to its end or as far as it may be kept."""
    size_bytes = 0
    while size_bytes < EARLY_BYTES and not isinstance(events[-1], h11.EndOfMessage):
        events.append(await upstream.next())
        if isinstance(events[-1], h11.Data):
            size_bytes += len(events[-1].data)


async def send_if_open(upstream: Peer, event: h11.Event) -> None:
    """Send it to a service; one that has answered already need not listen any more."""
    with contextlib.suppress(OSError, h11.LocalProtocolError):
        await upstream.send(event)


def _raw(event: h11.Request | h11.Response | h11.InformationalResponse) -> _Headers:
    """As they were written; h11 gives names in small letters elsewhere."""
    return list(cast("Any", event.headers).raw_items())

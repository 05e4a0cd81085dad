"""A line to a service: HTTP/1.1 is passed on byte by byte, and each request is on record."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Any

import h11

from chaos.network.journal import RecordFile
from chaos.network.proxy import PortError, listen, split_address
from chaos.wire.http_call import Call
from chaos.wire.http_gate import Gate
from chaos.wire.http_peer import Peer, PeerLeftError, answer
from chaos.wire.specs import LineSpec, Upstream, WireError


class HttpLine:
    """Listens for the worker at the port of `spec`, from `start` to `stop`. At the `gate` it is
    known what becomes of each call.
    """

    def __init__(self, spec: LineSpec, gate: Gate, journal: RecordFile) -> None:
        """Raises WireError."""
        self._port = spec.port
        self._service = _Service(spec.upstream)
        self._journal = journal
        self._gate = gate
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    async def start(self) -> None:
        """Listen. Raises WireError."""
        try:
            listener = listen(self._port)
        except PortError as error:
            raise WireError(str(error)) from None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Peer.accept(self._accept), sock=listener)

    async def stop(self) -> None:
        """Break off what is left, and free the port."""
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, client: Peer) -> None:
        connection = asyncio.create_task(self._converse(client))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _converse(self, client: Peer) -> None:
        """All requests of one connection, which has one to the service."""
        conversation = _Conversation(client, self._service)
        try:
            with suppress(PeerLeftError, OSError):
                while request := await conversation.request():
                    call = Call(client, request, self._gate)
                    try:
                        await call.run(conversation.upstream)
                    finally:
                        self._journal.add(call.record())
        except h11.RemoteProtocolError as error:
            with suppress(OSError, h11.LocalProtocolError):  # in mid-call it hears no more
                await answer(client, 400, f"The request is not HTTP/1.1: {error}.")
        finally:
            conversation.close()


class _Service:
    """Where a line leads."""

    def __init__(self, upstream: Upstream) -> None:
        """Raises WireError."""
        try:
            self._address = split_address(upstream.address)
        except ValueError as error:
            raise WireError(str(error)) from None
        self._tls: dict[str, Any] = {}
        if upstream.tls:
            self._tls = {"ssl": _context(upstream), "server_hostname": upstream.server_name or None}

    async def connect(self) -> Peer:
        """Raises OSError."""
        return await Peer.connect(*self._address, **self._tls)


class _Conversation:
    """A connection of a client, and that to the service as long as it lasts."""

    def __init__(self, client: Peer, service: _Service) -> None:
        self._client = client
        self._service = service
        self._upstream: Peer | None = None
        self._begun = False

    async def request(self) -> h11.Request | None:
        """The next one; None where the client or the service wants no more. Raises OSError and
        h11.RemoteProtocolError.
        """
        if self._begun and not self._client.rests():
            return None
        self._begun = True
        if self._upstream and not self._upstream.rests():
            self._upstream.close()
            self._upstream = None
        event = await self._next()
        return event if isinstance(event, h11.Request) else None

    async def upstream(self) -> Peer:
        """The connection to the service. Raises OSError."""
        if self._upstream is None:
            self._upstream = await self._service.connect()
        return self._upstream

    def close(self) -> None:
        """End both."""
        for peer in (self._client, self._upstream):
            if peer:
                peer.close()

    async def _next(self) -> h11.Event:
        """A service that ends an idle connection ends it for the client: raises PeerLeftError."""
        if self._upstream is None:
            return await self._client.next()
        async with self._upstream.while_there():
            return await self._client.next()


def _context(upstream: Upstream) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=upstream.ca_file or None)
        if upstream.certificate_file:
            context.load_cert_chain(upstream.certificate_file, upstream.key_file or None)
    except OSError as error:
        raise WireError(
            f"The TLS files for {upstream.address} cannot be used ({error}): "
            "name PEM files that can be read."
        ) from None
    context.set_alpn_protocols(["http/1.1"])
    return context

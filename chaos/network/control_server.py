"""A small HTTP server for a control port: JSON for clients on this machine, without a key."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import h11

Answer = Callable[[str, str, bytes], tuple[int, dict[str, Any]]]
"""From method, path and body to a status and what is sent as JSON."""

_CHUNK_BYTES = 65536


class ControlServer:
    """Answers at a socket that listens already, from `serve` on until that is cancelled."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._connections: set[asyncio.Task[None]] = set()

    async def serve(self, listener: socket.socket) -> None:
        """Serve until cancelled; then no connection is left."""
        server = await asyncio.start_server(self._accept, sock=listener)
        try:
            await server.serve_forever()
        finally:
            server.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: asyncio's reports on standard error that it was cancelled.
        connection = asyncio.create_task(self._converse(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """All requests of one connection; what is no HTTP, or breaks off, ends it."""
        http = h11.Connection(h11.SERVER)
        try:
            with suppress(h11.RemoteProtocolError, OSError):
                while (found := await _next_request(http, reader)) is not None:
                    writer.write(self._reply(http, *found))
                    await writer.drain()
                    if http.our_state is not h11.DONE:
                        return
                    http.start_next_cycle()
        finally:
            writer.close()

    def _reply(self, http: h11.Connection, request: h11.Request, body: bytes) -> bytes:
        method, target = request.method.decode(), request.target.decode(errors="replace")
        status, answer = self._answer(method, target.partition("?")[0], body)
        content = json.dumps(answer).encode()
        headers = [("content-type", "application/json"), ("content-length", str(len(content)))]
        reason = HTTPStatus(status).phrase
        sent = (
            http.send(h11.Response(status_code=status, reason=reason, headers=headers)),
            http.send(h11.Data(data=content)),
            http.send(h11.EndOfMessage()),
        )
        return b"".join(part or b"" for part in sent)


async def _next_request(
    http: h11.Connection, reader: asyncio.StreamReader
) -> tuple[h11.Request, bytes] | None:
    """A whole request; None where the client has left."""
    request, body = None, b""
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await reader.read(_CHUNK_BYTES))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage) and request is not None:
            return request, body
        else:
            return None

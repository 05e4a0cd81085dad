"""The raw connection under a request: whether the client is there, and how to break it."""

import asyncio
import socket
import struct
from typing import cast

from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

_LOOP_TURNS_TO_NOTICE = 3
_LINGER_NONE = struct.pack("ii", 1, 0)


class Connection:
    """One client's TCP connection."""

    def __init__(self, transport: asyncio.Transport, protocol: H11Protocol) -> None:
        self.lost = asyncio.Event()
        self._transport = transport
        self._protocol = protocol

    def connected(self) -> bool:
        """Whether the client is there, as far as the event loop has noticed."""
        return not (self.lost.is_set() or self._transport.is_closing())

    async def notice(self) -> None:
        """Let the event loop see a client that has left just now."""
        # Its steps: read the end of the stream, close the transport, report the loss.
        for _ in range(_LOOP_TURNS_TO_NOTICE):
            await asyncio.sleep(0)

    def watch(self) -> None:
        """See a client leave even after a long request body, which makes uvicorn stop reading."""
        self._protocol.flow.resume_reading()

    async def reset(self) -> None:
        """End the connection with a reset (RST). What was written may be lost with it."""
        if self.connected():
            sock = cast("socket.socket", self._transport.get_extra_info("socket"))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self._transport.abort()
        await self.lost.wait()

    async def close(self) -> None:
        """End the connection regularly (FIN) when everything is written."""
        self._transport.close()
        await self.lost.wait()

    def write(self, content: bytes) -> None:
        """Send bytes past the HTTP layer, which must not be used on this connection again."""
        self._transport.write(content)


class TrackedProtocol(H11Protocol):
    """uvicorn's HTTP protocol, which also hands each request its connection."""

    def connection_made(  # type: ignore[override]  # uvicorn narrows asyncio's type the same way
        self, transport: asyncio.Transport
    ) -> None:
        """A client came."""
        super().connection_made(transport)
        self.connection = Connection(transport, self)
        self.app_state = {**self.app_state, "connection": self.connection}

    def connection_lost(self, exc: Exception | None) -> None:
        """A client left, or was thrown out."""
        super().connection_lost(exc)
        self.connection.lost.set()


def connection_of(scope: Scope) -> Connection:
    """The connection a request came in on."""
    return cast("Connection", scope["state"]["connection"])

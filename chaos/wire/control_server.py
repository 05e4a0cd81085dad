"""The process's end of the control connection."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from chaos.wire.breakpoints import Breakpoints, DecisionError
from chaos.wire.control import MOST_BYTES, BreakpointSpec, LineSpec, WireError
from chaos.wire.lines import Lines

_Request = Mapping[str, Any]


class ControlServer:
    """Does what its one client asks, from `start` to `stop`. `on_end` is called when that client
    has gone (None), or with the sentence with which the process has to end.
    """

    def __init__(self, journals: Path, on_end: Callable[[str | None], None]) -> None:
        self._on_end = on_end
        self._breakpoints = Breakpoints(self._tell)
        self._lines = Lines(journals, self._breakpoints, self._tell, on_end)
        self._client: asyncio.StreamWriter | None = None
        self._server: asyncio.Server
        self._conversations: set[asyncio.Task[None]] = set()
        self._does: Mapping[str, Callable[[_Request], Awaitable[None]]] = {
            "hello": self._hello,
            "open": self._open,
            "close": self._close,
            "set": self._set,
            "remove": self._remove,
            "decide": self._decide,
        }

    async def start(self, listener: socket.socket) -> None:
        """Serve at a socket that listens."""
        self._server = await asyncio.start_server(self._accept, sock=listener, limit=MOST_BYTES)

    async def stop(self) -> None:
        """End all lines and connections."""
        self._server.close()
        for conversation in self._conversations:
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)
        await self._lines.close_all()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: asyncio's reports on standard error that it was cancelled.
        conversation = asyncio.create_task(self._converse(reader, writer))
        self._conversations.add(conversation)
        conversation.add_done_callback(self._conversations.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer until it hangs up. One that has never said a thing only looked whether the port
        is open.
        """
        try:
            with suppress(ConnectionError, ValueError):
                while line := await reader.readline():
                    if self._client is None:
                        self._client = writer
                    is_client = self._client is writer
                    _send(writer, await self._answered(line) if is_client else _refused(line))
        finally:
            writer.close()
            if self._client is writer:
                self._on_end(None)

    async def _answered(self, line: bytes) -> Mapping[str, Any]:
        request = json.loads(line)
        try:
            await self._does[request["do"]](request)
        except (WireError, DecisionError) as error:
            return {"id": request["id"], "error": str(error)}
        except (KeyError, ValidationError) as error:
            return {"id": request["id"], "error": f"The request is not understood: {error!r}."}
        return {"id": request["id"]}

    def _tell(self, event: Mapping[str, Any]) -> None:
        if self._client:
            _send(self._client, event)

    async def _hello(self, request: _Request) -> None:
        """It is known now who the client is."""

    async def _open(self, request: _Request) -> None:
        await self._lines.open(LineSpec.model_validate(request["line"]))

    async def _close(self, request: _Request) -> None:
        await self._lines.close(request["line"])

    async def _set(self, request: _Request) -> None:
        self._breakpoints.set(BreakpointSpec.model_validate(request["breakpoint"]))

    async def _remove(self, request: _Request) -> None:
        self._breakpoints.remove(request["breakpoint"])

    async def _decide(self, request: _Request) -> None:
        self._breakpoints.decide(request["passage"], request["decision"])


def _send(writer: asyncio.StreamWriter, message: Mapping[str, Any]) -> None:
    # Without waiting: events are few, and the client reads all the time.
    with suppress(ConnectionError):
        writer.write(json.dumps(message).encode() + b"\n")


def _refused(line: bytes) -> Mapping[str, Any]:
    return {"id": json.loads(line)["id"], "error": "The wire has another client: start a new one."}

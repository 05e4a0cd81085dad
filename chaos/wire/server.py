"""The process's end of the control connection, and the lines that are open."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from typing import Protocol as Shape

from pydantic import ValidationError

from chaos.network import journal as network
from chaos.network.journal import NetworkJournalError, RecordFile, file_name
from chaos.network.packet_line import PacketLine
from chaos.network.packets import FOLDER as PACKETS
from chaos.network.packets import Harm
from chaos.network.proxy import HOST, PortError, Proxy, ToxicError, listen
from chaos.network.toxics import ANY_TOXIC
from chaos.network.tun import TunError
from chaos.wire import journal as wire
from chaos.wire.breakages import Breakages
from chaos.wire.breakpoints import Breakpoints, DecisionError
from chaos.wire.control import MOST_BYTES
from chaos.wire.grpc_line import GrpcLine
from chaos.wire.grpc_work import Work
from chaos.wire.http_gate import Gate
from chaos.wire.http_line import HttpLine
from chaos.wire.journal import Closed, Opened, client_of
from chaos.wire.limits import Limits
from chaos.wire.specs import (
    Breakage,
    BreakpointSpec,
    LimitSpec,
    LineSpec,
    Protocol,
    WireError,
)
from chaos.wire.tasks import InFlight
from chaos.wire.tracking import Tracker

_Request = Mapping[str, Any]


class Line(Shape):
    """Listens and passes calls on, from `start` to `stop`. Both raise WireError."""

    async def start(self) -> None:
        """Listen."""

    async def stop(self) -> None:
        """Break off what is left, and free the port."""


class Server:
    """Does what its one client asks, from `start` to `stop`.

    Each line has its file of records below the folder `case`. `on_end` is called when the client
    has gone (None), or with the sentence with which the process has to end.
    """

    def __init__(self, case: Path, on_end: Callable[[str | None], None]) -> None:
        self._case = case
        self._on_end = on_end
        self._breakpoints = Breakpoints(self._tell)
        self._breakages = Breakages()
        self._in_flight = InFlight()
        self._tracker = Tracker(self._in_flight)
        self._limits = Limits()
        self._lines: dict[str, tuple[Line, RecordFile]] = {}
        self._links: dict[str, tuple[Proxy, RecordFile]] = {}
        self._packets: dict[str, tuple[PacketLine, RecordFile]] = {}
        self._client: asyncio.StreamWriter | None = None
        self._server: asyncio.Server
        self._conversations: set[asyncio.Task[None]] = set()
        self._does: Mapping[str, Callable[[_Request], Any]] = {
            "hello": lambda _: None,  # it is known now who the client is
            "open": self._open,
            "close": lambda request: self._close(request["line"]),
            "set": lambda request: self._breakpoints.set(
                BreakpointSpec.model_validate(request["breakpoint"])
            ),
            "remove": lambda request: self._breakpoints.remove(request["breakpoint"]),
            "decide": lambda request: self._breakpoints.decide(
                request["passage"], request["decision"]
            ),
            "break": lambda request: self._breakages.put_on(
                Breakage.model_validate(request["breakage"])
            ),
            "mend": lambda request: self._breakages.take_off(request["breakage"]),
            "limit": lambda request: self._limits.put_on(
                LimitSpec.model_validate(request["limit"])
            ),
            "unlimit": lambda request: self._limits.take_off(request["service"]),
            "put_on": lambda request: self._proxy(request).put_on(
                ANY_TOXIC.validate_python(request["toxic"])
            ),
            "take_off": lambda request: self._proxy(request).take_off(request["name"]),
            "clear": lambda request: self._proxy(request).clear(),
            "toxics": lambda request: _dumped(self._proxy(request).toxics()),
            "connections": lambda request: _dumped(self._proxy(request).connections()),
            "open_packets": self._open_packets,
            "harm": lambda request: self._packet_line(request).begin(
                request["link"], Harm.model_validate(request["harm"])
            ),
            "spare": lambda request: self._packet_line(request).end(request["link"]),
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
        for name in tuple(self._lines):
            await self._close(name)
        for proxy, journal in self._links.values():
            proxy.stop()
            journal.close()
        for packets, journal in self._packets.values():
            await packets.stop()
            journal.close()

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
            result = self._does[request["do"]](request)
            if isinstance(result, Awaitable):
                result = await result
        except (WireError, DecisionError, ToxicError, PortError, TunError) as error:
            return {"id": request["id"], "error": str(error)}
        except (KeyError, ValidationError) as error:
            return {"id": request["id"], "error": f"The request is not understood: {error!r}."}
        return {"id": request["id"], "result": result}

    def _tell(self, event: Mapping[str, Any]) -> None:
        if self._client:
            _send(self._client, event)

    async def _open(self, request: _Request) -> None:
        """Listen for a worker, or for a link. Raises WireError, PortError."""
        spec = LineSpec.model_validate(request["line"])
        is_link = spec.protocol is Protocol.TCP
        if spec.name in (self._links if is_link else self._lines):
            raise WireError(f"The line {spec.name} is open: close it, or give another name.")
        listen(spec.port).close()  # or refuse a port where another listens
        journal = self._journal(network.FOLDER if is_link else wire.FOLDER, spec.name)
        try:
            if is_link:
                self._link(spec, journal)
            else:
                await self._line(spec, journal)
        except BaseException:
            journal.close()
            raise

    def _journal(self, folder: str, name: str) -> RecordFile:
        try:
            return RecordFile(self._case / folder / file_name(name), name, self._on_end)
        except NetworkJournalError as error:
            raise WireError(str(error)) from None

    async def _open_packets(self, request: _Request) -> Mapping[str, Any]:
        """A network of its own for a client; how it is entered, and the addresses of its links
        there. Raises WireError, TunError.
        """
        client = request["client"]
        if client in self._packets:
            raise WireError(f"{client} has a network of its own: give another name.")
        journal = self._journal(PACKETS, client)
        try:
            packets = await asyncio.to_thread(PacketLine, request["links"], journal)
            await packets.start()
        except BaseException:
            journal.close()
            raise
        self._packets[client] = packets, journal
        return {"entering": packets.entering, "addresses": packets.addresses}

    def _packet_line(self, request: _Request) -> PacketLine:
        """That of a link. Raises WireError."""
        client = request["link"].partition(">")[0]
        if client not in self._packets:
            raise WireError(f"{client} has no network of its own: start it with packets=True.")
        return self._packets[client][0]

    def _link(self, spec: LineSpec, journal: RecordFile) -> None:
        try:
            proxy = Proxy(spec.port, spec.upstream.address, spec.seed, journal)
        except ValueError as error:
            raise WireError(str(error)) from None
        proxy.start()
        self._links[spec.name] = proxy, journal

    async def _line(self, spec: LineSpec, journal: RecordFile) -> None:
        line: Line
        if spec.protocol is Protocol.HTTP:
            busy = partial(self._in_flight.of, client_of(spec.name))
            gate = Gate(self._breakpoints, self._breakages, self._limits, journal, busy)
            line = HttpLine(spec, gate, journal)
        else:
            work = Work(spec, self._breakpoints, journal, self._tracker, self._tell)
            line = GrpcLine(spec, work, self._limits)
        await line.start()
        self._lines[spec.name] = line, journal
        listening, upstream = f"{HOST}:{spec.port}", spec.upstream.address
        journal.add(Opened(listen=listening, upstream=upstream, namespace=spec.namespace))

    async def _close(self, name: str) -> None:
        """End a line. Raises WireError."""
        if name not in self._lines:
            raise WireError(f"No line {name} is open.")
        line, journal = self._lines.pop(name)
        await line.stop()
        journal.add(Closed())
        journal.close()

    def _proxy(self, request: _Request) -> Proxy:
        """The line of TCP that a request is about. Raises WireError."""
        if request["link"] not in self._links:
            raise WireError(f"No link {request['link']} is open.")
        return self._links[request["link"]][0]


def _dumped(models: tuple[Any, ...]) -> list[Any]:
    return [model.model_dump(mode="json") for model in models]


def _send(writer: asyncio.StreamWriter, message: Mapping[str, Any]) -> None:
    # Without waiting: events are few, and the client reads all the time.
    with suppress(ConnectionError):
        writer.write(json.dumps(message).encode() + b"\n")


def _refused(line: bytes) -> Mapping[str, Any]:
    return {
        "id": json.loads(line)["id"],
        "error": "The wire already has a client: start another wire.",
    }

"""The client of a wire: it opens lines, sets breakpoints, decides about held calls, puts toxics on.

Requests and replies are JSON lines on one TCP connection, and events come unasked:

    {"id": 0, "do": "hello"}                          {"id": 0}
    {"id": 1, "do": "open", "line": {…}}              {"id": 1}
    {"id": 2, "do": "set", "breakpoint": {…}}         {"id": 2}
    {"id": 3, "do": "remove", "breakpoint": 1}        {"id": 3}
    {"id": 4, "do": "decide", "passage": 7,
     "decision": "drop"}                              {"id": 4} or {"id": 4, "error": "…"}
    {"id": 5, "do": "close", "line": "worker-1"}      {"id": 5}
    {"id": 6, "do": "put_on", "toxic": {…},
     "link": "worker-1>server"}                       {"id": 6, "result": [1, 2]}
    {"id": 7, "do": "break", "breakage": {…}}         {"id": 7}
    {"id": 8, "do": "mend", "breakage": "errors"}     {"id": 8}
    {"id": 9, "do": "limit", "limit": {…}}            {"id": 7}
    {"id": 10, "do": "unlimit", "service": ""}         {"id": 8}
                                                      {"event": "reached", "breakpoint": 1, …}
                                                      {"event": "polled", "line": "worker-1",
                                                       "polled": {…}}

`take_off` has the name of a toxic; `clear`, `toxics` and `connections` have a link alone.
`open_packets` gives a client a network of its own, with the addresses behind its links; `harm` and
`spare` begin and end what becomes of the packets of one. The first that says a thing is the client.
When its connection ends, the process ends.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from typing import Any, Self

from pydantic import TypeAdapter

from chaos.network.connection import ConnectionStatus
from chaos.network.toxics import AnyToxic
from chaos.wire.boundary import Boundary
from chaos.wire.journal import Polled
from chaos.wire.specs import Breakage, BreakpointSpec, LimitSpec, LineSpec, Passage, WireError

MOST_BYTES = 1 << 20
"""Of one line on the connection."""

_HOST = "127.0.0.1"
_TOXICS: TypeAdapter[tuple[AnyToxic, ...]] = TypeAdapter(tuple[AnyToxic, ...])
_CONNECTIONS: TypeAdapter[tuple[ConnectionStatus, ...]] = TypeAdapter(tuple[ConnectionStatus, ...])


class Breakpoint:
    """One that is set. Use it by `async with`, or remove it."""

    def __init__(self, wire: Wire, spec: BreakpointSpec) -> None:
        self.spec = spec
        self._wire = wire
        self._passages: asyncio.Queue[Passage | None] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(WireError):
            await self.remove()

    async def reached(self) -> Passage:
        """The next call that is held here, once it is. Raises WireError if the wire ends before."""
        passage = await self._passages.get()
        if passage is None:
            self._passages.put_nowait(None)
            raise WireError(self._wire.why_gone)
        return passage

    async def remove(self) -> None:
        """Hold no more calls here; those that are held stay so until it is decided."""
        await self._wire.send("remove", breakpoint=self.spec.number)

    def add(self, passage: Passage | None) -> None:
        """Of the wire: a call is held here; None: none ever will."""
        self._passages.put_nowait(passage)


class Wire:
    """The client. All of it raises WireError where the wire refuses or is gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.why_gone = "The wire's process has ended; its log says why."
        self._writer = writer
        self._numbers = count()
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._breakpoints: dict[int, Breakpoint] = {}
        self._polls: dict[str, list[Polled]] = {}
        self._gone = asyncio.Event()
        self._reading = asyncio.create_task(self._read(reader))

    @classmethod
    async def connect(cls, port: int) -> Wire:
        """The client of the wire whose control port this is. Raises WireError."""
        try:
            reader, writer = await asyncio.open_connection(_HOST, port, limit=MOST_BYTES)
        except OSError as error:
            raise WireError(
                f"No wire listens on {_HOST}:{port} ({error.strerror}): start `python -m "
                "chaos.wire` first."
            ) from None
        wire = cls(reader, writer)
        try:
            await wire.send("hello")
        except BaseException:
            await wire.aclose()
            raise
        return wire

    async def open(self, line: LineSpec) -> None:
        """Have the wire listen for a worker."""
        await self.send("open", line=line.model_dump(mode="json"))

    async def close_line(self, name: str) -> None:
        """End a line; its worker finds nobody there."""
        await self.send("close", line=name)

    async def set(
        self,
        boundary: Boundary,
        *,
        workflow_id: str = "",
        line: str = "",
        attempt: int = 0,
        times: int = 1,
    ) -> Breakpoint:
        """Hold calls at a boundary, as `BreakpointSpec` says."""
        spec = BreakpointSpec(
            number=len(self._breakpoints) + 1,
            boundary=boundary,
            workflow_id=workflow_id,
            line=line,
            attempt=attempt,
            times=times,
        )
        # Known before it is set: a call may come to it before the reply.
        found = self._breakpoints[spec.number] = Breakpoint(self, spec)
        await self.send("set", breakpoint=spec.model_dump(mode="json"))
        return found

    async def limit(self, limit: LimitSpec) -> None:
        """Let no more than so many requests a second pass."""
        await self.send("limit", limit=limit.model_dump(mode="json"))

    async def unlimit(self, service: str = "") -> None:
        """Take the limit off, of the server unless a service is named."""
        await self.send("unlimit", service=service)

    async def decide(self, passage: Passage, decision: str) -> None:
        """Let a held call go on: a `Decision`, or the name of a status that the worker gets."""
        await self.send("decide", passage=passage.number, decision=decision)

    async def break_service(self, breakage: Breakage) -> None:
        """Break calls of a service, whichever worker makes them."""
        await self.send("break", breakage=breakage.model_dump(mode="json"))

    async def mend_service(self, name: str) -> None:
        """Take a breakage off again."""
        await self.send("mend", breakage=name)

    def polls(self, line: str) -> list[Polled]:
        """Which queues have been polled through a line so far, in order: each once by a
        connection of a worker.
        """
        return list(self._polls.get(line, ()))

    async def until_gone(self) -> None:
        """Until its process has ended, whatever ended it."""
        await self._gone.wait()

    async def aclose(self) -> None:
        """Hang up, which ends the wire's process."""
        self._writer.close()
        self._reading.cancel()
        with suppress(asyncio.CancelledError):
            await self._reading
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    async def send(self, do: str, **what: object) -> Any:
        """Ask for one thing, and wait until it is done; what came of it."""
        if self._gone.is_set():
            raise WireError(self.why_gone)
        number = next(self._numbers)
        reply = self._replies[number] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(json.dumps({"id": number, "do": do, **what}).encode() + b"\n")
            return await reply
        finally:
            del self._replies[number]

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            with suppress(ConnectionError):
                while line := await reader.readline():
                    self._take(json.loads(line))
        finally:
            self._end()

    def _take(self, message: Mapping[str, Any]) -> None:
        event = message.get("event")
        if event == "reached":
            passage = Passage.model_validate(message)
            self._breakpoints[passage.breakpoint].add(passage)
        elif event == "polled":
            line, polled = message["line"], Polled.model_validate(message["polled"])
            self._polls.setdefault(line, []).append(polled)
        elif reply := self._replies.get(message["id"]):
            self._answer(reply, message.get("error"), message.get("result"))

    def _answer(self, reply: asyncio.Future[Any], error: str | None, result: Any = None) -> None:
        if reply.done():
            return
        if error is None:
            reply.set_result(result)
        else:
            reply.set_exception(WireError(error))

    def _end(self) -> None:
        self._gone.set()
        for reply in self._replies.values():
            self._answer(reply, self.why_gone)
        for each in self._breakpoints.values():
            each.add(None)


class Network:
    """The toxics of a line of TCP, by the name of its link. When a method returns, all connections
    have felt it. All raise WireError where the wire refuses or is gone.
    """

    def __init__(self, wire: Wire, link: str) -> None:
        self._wire = wire
        self._link = link

    async def add(self, toxic: AnyToxic) -> tuple[int, ...]:
        """Put a toxic on; the connections that were there then."""
        return tuple(await self._send("put_on", toxic=toxic.model_dump(mode="json")))

    async def remove(self, name: str) -> None:
        """Take one toxic off."""
        await self._send("take_off", name=name)

    async def clear(self) -> None:
        """Take all toxics off: the network is healthy again."""
        await self._send("clear")

    async def toxics(self) -> tuple[AnyToxic, ...]:
        """Those that are on, in the order in which data passes them."""
        return _TOXICS.validate_python(await self._send("toxics"))

    async def connections(self) -> tuple[ConnectionStatus, ...]:
        """The established connections with their bytes so far."""
        return _CONNECTIONS.validate_python(await self._send("connections"))

    async def _send(self, do: str, **what: object) -> Any:
        return await self._wire.send(do, link=self._link, **what)

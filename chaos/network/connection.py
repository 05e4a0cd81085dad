"""A client's connection through the proxy: two sockets, and a line for each direction."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict

from chaos.network.behaviour import Ending, Position, Side, Stream
from chaos.network.journal import Closed, Counts, Effect, Hit, NetworkRecord, Opened
from chaos.network.line import Line, Standing
from chaos.network.toxics import AnyToxic

_LINGER_NONE = struct.pack("ii", 1, 0)


class ConnectionStatus(BaseModel):
    """A connection as it is now. `client` and `via` as in the journal's `opened`."""

    model_config = ConfigDict(frozen=True)

    connection: int
    client: str
    via: str
    upstream: Counts
    downstream: Counts


def reset(sock: socket.socket) -> None:
    """End a socket's connection with a reset (RST). What it has not sent yet is lost."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
    sock.close()


def close(sock: socket.socket) -> None:
    """End a socket's connection regularly (FIN), also where something is left unread."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
    sock.close()


def address_of(sock: socket.socket, *, peer: bool) -> str:
    """`host:port` of a socket's own end or of its peer's; `?` where it is gone already."""
    try:
        host, port = (sock.getpeername() if peer else sock.getsockname())[:2]
    except OSError:
        return "?"
    return f"{host}:{port}"


class Connection:
    """One client and its server. `on_end` is called once, when both are let go."""

    def __init__(
        self,
        number: int,
        sockets: tuple[socket.socket, socket.socket],
        loop: asyncio.AbstractEventLoop,
        record: Callable[[NetworkRecord], object],
        on_end: Callable[[Connection], None],
    ) -> None:
        self.number = number
        self._loop = loop
        self._record = record
        self._on_end = on_end
        self._client, self._server = client, server = sockets
        self._upstream = Line(Stream.UPSTREAM, client, server, loop, self)
        self._downstream = Line(Stream.DOWNSTREAM, server, client, loop, self)
        self._lines = {line.stream: line for line in (self._upstream, self._downstream)}
        self._addresses = (address_of(client, peer=True), address_of(server, peer=False))
        self._first_to_close: str | None = None
        self._has_finished: set[Stream] = set()
        self._lost: Side | None = None
        self._is_over = False

    def open(self) -> None:
        """Record that it is there."""
        client, via = self._addresses
        self._record(Opened(connection=self.number, client=client, via=via))

    def start(self) -> None:
        """Let data pass."""
        for line in self._lines.values():
            line.wake()

    def status(self) -> ConnectionStatus:
        """As it is now."""
        client, via = self._addresses
        return ConnectionStatus(
            connection=self.number,
            client=client,
            via=via,
            upstream=self._upstream.counts(),
            downstream=self._downstream.counts(),
        )

    def put_on(self, toxic: AnyToxic, seed: int) -> None:
        """Let a toxic work here, at once."""
        for stream in toxic.stream.directions:
            position = Position(seed, self.number, stream, self._loop.time())
            self._lines[stream].put_on(toxic.known_as, toxic.behaviour(position))
        toxic.apply(self)

    def take_off(self, name: str) -> None:
        """Undo a toxic: what it kept back goes on. Ends the connection where that cannot be."""
        endings = []
        for line in self._lines.values():
            if standing := line.take_off(name):
                self._tell_effect(line, standing)
                endings.append(standing.behaviour.lifted())
        ending = next((ending for ending in endings if ending), None)
        if ending:
            self.end(ending, name)
        for line in self._lines.values():
            line.wake()

    def end(self, ending: Ending, because: str) -> None:
        """End it at both sides. Twice is as good as once."""
        if self._is_over:
            return
        self._is_over = True
        for line in self._lines.values():
            line.mark_hit(because)
            for standing in line.standings():
                self._tell_effect(line, standing)
            line.close()
        # Recorded first, so that whoever sees the end finds it told.
        self._record(
            Closed(
                connection=self.number,
                because=because,
                upstream=self._upstream.counts(),
                downstream=self._downstream.counts(),
            )
        )
        for sock in (self._client, self._server):
            reset(sock) if ending is Ending.RESET else close(sock)
        self._on_end(self)

    def lose(self, side: Side, because: str) -> None:
        """Reset one side's connection; the other side hears nothing of it."""
        if self._is_over or self._lost is side:
            return
        if self._lost:
            self.end(Ending.RESET, because)
            return
        self._lost = side
        from_it, to_it = self._upstream, self._downstream
        if side is Side.SERVER:
            from_it, to_it = to_it, from_it
        for line in self._lines.values():
            line.mark_hit(because)
        from_it.lose_source()
        to_it.forget_sink()
        reset(to_it.sink)

    def source_ended(self, line: Line, ending: Ending) -> None:
        """One side sends no more."""
        if self._lost:
            self.end(ending, _told(line, ending))  # the survivor, and nobody else is left
            return
        self._first_to_close = self._first_to_close or _told(line, Ending.CLOSE)
        line.end_source(ending)

    def sink_lost(self, line: Line) -> None:
        """A receiver was reset, which its own line passes on as it does data."""
        line.lose_sink()
        back = self._downstream if line is self._upstream else self._upstream
        back.end_source(Ending.RESET)

    def finished(self, line: Line, ending: Ending) -> None:
        """The end of a stream has passed its line."""
        if ending is Ending.RESET:
            self.end(Ending.RESET, _told(line, ending))
            return
        with contextlib.suppress(OSError):
            line.sink.shutdown(socket.SHUT_WR)
        self._has_finished.add(line.stream)
        if len(self._has_finished) == len(self._lines):
            self.end(Ending.CLOSE, self._first_to_close or _told(line, ending))

    def hit(self, line: Line, name: str) -> None:
        """A toxic has its first effect here."""
        self._record(Hit(name=name, connection=self.number, stream=line.stream))

    def _tell_effect(self, line: Line, standing: Standing) -> None:
        if not standing.is_hit:
            return
        self._record(
            Effect(
                name=standing.name,
                connection=self.number,
                stream=line.stream,
                delayed_bytes=standing.delayed_bytes,
                held_bytes=line.counts().held_bytes if standing.holds else 0,
                dropped_bytes=standing.dropped_bytes,
            )
        )


def _told(line: Line, ending: Ending) -> str:
    """Who ended a line, and how: such as `client_closed`."""
    side = Side.CLIENT if line.stream is Stream.UPSTREAM else Side.SERVER
    return f"{side}_{'reset' if ending is Ending.RESET else 'closed'}"

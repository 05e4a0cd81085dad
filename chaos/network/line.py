"""One stream of one connection: bytes from a source, past the toxics, into a sink.

A machine of callbacks, without tasks: it moves on when the source has data, when the sink has
room, when a piece's time has come, or when the toxics change. So an established connection feels a
change at once, and nothing has to be cancelled.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from chaos.network.behaviour import NEVER, Behaviour, Ending, Piece, Stream
from chaos.network.journal import Counts

CAPACITY_BYTES = 1 << 20
"""A line that holds so much stops reading, and TCP slows its sender down."""
CAPACITY_CHUNKS = 4096
"""The same for chunks: each costs some 300 bytes beside its content, which may be one byte."""

_READ_BYTES = 1 << 18
_SHARED = memoryview(bytearray(_READ_BYTES))
"""What is read goes here first, and mostly on from here: one thread, one use at a time."""


class Owner(Protocol):
    """The connection, as its lines see it."""

    def end(self, ending: Ending, because: str) -> None:
        """End both lines."""

    def source_ended(self, line: Line, ending: Ending) -> None:
        """No more data comes; the line passes that on as it does data."""

    def sink_lost(self, line: Line) -> None:
        """The line's receiver takes nothing more."""

    def finished(self, line: Line, ending: Ending) -> None:
        """The end of the stream has passed the line."""

    def hit(self, line: Line, name: str) -> None:
        """A toxic has its first effect here."""


@dataclass(slots=True)
class _Chunk:
    """What was read at once, without what has gone on; with an ending, the end of the stream."""

    content: memoryview
    read_offset: int
    offset: int
    arrived_at: float
    ending: Ending | None = None


@dataclass(slots=True)
class Standing:
    """A toxic's behaviour on this line, and what it did so far."""

    name: str
    behaviour: Behaviour
    is_hit: bool = False
    holds: bool = False
    delayed_bytes: int = 0
    dropped_bytes: int = 0


@dataclass
class Line:
    """One stream. `owner` hears of its ends and hits."""

    stream: Stream
    source: socket.socket
    sink: socket.socket
    loop: asyncio.AbstractEventLoop
    owner: Owner
    _standings: dict[str, Standing] = field(default_factory=dict)
    _chunks: deque[_Chunk] = field(default_factory=deque)
    _received_bytes: int = 0
    _sent_bytes: int = 0
    _dropped_bytes: int = 0
    _held_bytes: int = 0
    _reads: bool = False
    _is_blocked: bool = False
    _has_ended: bool = False
    _is_lost: bool = False
    _is_closed: bool = False
    _next_at: float = NEVER
    _timer: asyncio.TimerHandle | None = None

    def counts(self) -> Counts:
        """Its bytes so far."""
        return Counts(
            received_bytes=self._received_bytes,
            sent_bytes=self._sent_bytes,
            dropped_bytes=self._dropped_bytes,
            held_bytes=self._held_bytes,
        )

    def put_on(self, name: str, behaviour: Behaviour) -> None:
        """Add a behaviour as the last of the chain; it acts at once."""
        self._standings[name] = Standing(name, behaviour)
        self._advance()

    def take_off(self, name: str) -> Standing | None:
        """Remove a behaviour; what it kept back goes on at the next `wake`."""
        standing = self._standings.pop(name, None)
        if standing and standing.holds:
            # As after a retransmission: it now takes its way past the other toxics.
            for chunk in self._chunks:
                chunk.arrived_at = self.loop.time()
        return standing

    def wake(self) -> None:
        """Go on after a change."""
        self._advance()

    def standings(self) -> Iterator[Standing]:
        """All behaviours with their effects."""
        yield from self._standings.values()

    def end_source(self, ending: Ending) -> None:
        """The source has ended: pass that on behind its data."""
        if self._is_closed:
            return
        self._has_ended = True
        now, offset = self.loop.time(), self._received_bytes
        self._chunks.append(_Chunk(memoryview(b""), offset, offset, now, ending))
        self._advance()

    def lose_sink(self) -> None:
        """Nobody receives any more: drop what is here and what comes."""
        self._is_lost = True
        self._stop_writing()
        self._drop_backlog()

    def lose_source(self) -> None:
        """The source is gone without an end: drop what is here, and say nothing to the sink."""
        self._has_ended = True
        self._stop_reading()
        self._stop_writing()
        self._drop_backlog()

    def forget_sink(self) -> None:
        """The sink is about to be closed, and a toxic lets nothing pass."""
        self._stop_writing()
        self._advance()

    def mark_hit(self, name: str) -> None:
        """Tell of a toxic's first effect here, if it is on and this is the first."""
        standing = self._standings.get(name)
        if standing and not standing.is_hit:
            standing.is_hit = True
            self.owner.hit(self, name)

    def close(self) -> None:
        """Let go of both sockets. What is here counts as dropped with the connection."""
        self._is_closed = True
        self._stop_timer()
        self._stop_reading()
        self._stop_writing()
        self._drop_backlog()

    def _readable(self) -> None:
        try:
            size_bytes = self.source.recv_into(_SHARED)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.owner.source_ended(self, Ending.RESET)
            return
        if size_bytes:
            self._take(_SHARED[:size_bytes])
        else:
            self.owner.source_ended(self, Ending.CLOSE)

    def _take(self, data: memoryview) -> None:
        offset = self._received_bytes
        self._received_bytes += len(data)
        self._held_bytes += len(data)
        if not (self._standings or self._chunks or self._is_lost):
            sent_bytes = self._send(data)  # the short way: nothing stands in it
            data = data[sent_bytes:]
            offset += sent_bytes
        if self._is_lost or self._is_closed:
            self._drop_backlog()
        elif data:
            # The copy is needed: the next read, of whichever line, goes to the same place.
            content = memoryview(bytes(data))
            self._chunks.append(_Chunk(content, offset, offset, self.loop.time()))
            self._advance()

    def _advance(self) -> None:
        """Let pass what may pass now; then wait for time, room, data or a change."""
        self._stop_timer()
        while not self._is_closed and self._step():
            pass
        if not self._is_closed:
            if self._next_at < NEVER:
                self._timer = self.loop.call_at(self._next_at, self._advance)
            self._watch_source()

    def _step(self) -> bool:
        """Do one thing whose time has come. Where there is none: False, and when there will be."""
        leaves_at = NEVER
        if self._chunks and not self._is_blocked:
            chunk = self._chunks[0]
            piece = self._piece(chunk)
            if self._swallow(chunk, piece):
                return True
            leaves_at = self._leaves_at(chunk, piece)
        # Only now: the piece may have lit a fuse.
        if self._end_if_due():
            return False
        if leaves_at <= self.loop.time():
            self._pass(chunk, piece)
            return True
        ends = (standing.behaviour.ends_at for standing in self._standings.values())
        self._next_at = min(leaves_at, *ends, NEVER)
        return False

    def _end_if_due(self) -> bool:
        """End the connection where a toxic says that its time has come."""
        now = self.loop.time()
        for standing in self._standings.values():
            if standing.behaviour.ends_at <= now:
                self.owner.end(standing.behaviour.ending, standing.name)
                return True
        return False

    def _piece(self, chunk: _Chunk) -> Piece:
        size_bytes = len(chunk.content)
        for standing in self._standings.values() if size_bytes else ():
            asked = Piece(chunk.offset, size_bytes, chunk.read_offset)
            size_bytes = min(size_bytes, standing.behaviour.most_bytes(asked))
        return Piece(chunk.offset, size_bytes, chunk.read_offset)

    def _swallow(self, chunk: _Chunk, piece: Piece) -> bool:
        for standing in self._standings.values():
            if standing.behaviour.swallows(piece):
                self.mark_hit(standing.name)
                standing.dropped_bytes += piece.size_bytes
                self._dropped_bytes += piece.size_bytes
                self._held_bytes -= piece.size_bytes
                self._shorten(chunk, piece.size_bytes)
                return True
        return False

    def _leaves_at(self, chunk: _Chunk, piece: Piece) -> float:
        at = chunk.arrived_at
        for standing in self._standings.values():
            before, at = at, standing.behaviour.leaves_at(piece, at)
            standing.holds = at == NEVER
            if at > before:
                self.mark_hit(standing.name)
            if standing.holds:
                break
        return at

    def _pass(self, chunk: _Chunk, piece: Piece) -> None:
        if chunk.ending:
            self._chunks.popleft()
            self.owner.finished(self, chunk.ending)
            return
        sent_bytes = self._send(chunk.content[: piece.size_bytes])
        if not sent_bytes:
            return
        sent = Piece(piece.offset, sent_bytes, piece.read_offset)
        at = chunk.arrived_at
        for standing in self._standings.values():
            before, at = at, standing.behaviour.leaves_at(sent, at)
            standing.behaviour.passed(sent, at)
            standing.delayed_bytes += sent_bytes if at > before else 0
        self._shorten(chunk, sent_bytes)

    def _shorten(self, chunk: _Chunk, size_bytes: int) -> None:
        chunk.content = chunk.content[size_bytes:]
        chunk.offset += size_bytes
        if not chunk.content:
            self._chunks.popleft()

    def _send(self, data: memoryview) -> int:
        """How many bytes the sink took; where it takes fewer, wait for room."""
        try:
            sent_bytes = self.sink.send(data)
        except (BlockingIOError, InterruptedError):
            sent_bytes = 0
        except OSError:
            self.owner.sink_lost(self)
            return 0
        self._sent_bytes += sent_bytes
        self._held_bytes -= sent_bytes
        if sent_bytes < len(data):
            self._is_blocked = True
            self.loop.add_writer(self.sink, self._writable)
        return sent_bytes

    def _writable(self) -> None:
        self._stop_writing()
        self._advance()

    def _watch_source(self) -> None:
        has_room = self._held_bytes < CAPACITY_BYTES and len(self._chunks) < CAPACITY_CHUNKS
        wants = has_room and not self._has_ended
        if wants and not self._reads:
            self._reads = True
            self.loop.add_reader(self.source, self._readable)
        elif not wants:
            self._stop_reading()

    def _stop_reading(self) -> None:
        if self._reads:
            self._reads = False
            self.loop.remove_reader(self.source)

    def _stop_writing(self) -> None:
        if self._is_blocked:
            self._is_blocked = False
            self.loop.remove_writer(self.sink)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _drop_backlog(self) -> None:
        self._chunks.clear()
        self._dropped_bytes += self._held_bytes
        self._held_bytes = 0

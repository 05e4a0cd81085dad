"""The toxics: settings that a schedule can hold, and what each does to a connection.

A new one is a class here and a name in `AnyToxic`.
"""

from __future__ import annotations

import random
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from chaos.network.behaviour import (
    NEVER,
    Affected,
    Behaviour,
    Ending,
    Piece,
    Position,
    Side,
    Stream,
)

__all__ = [
    "ANY_TOXIC",
    "AnyToxic",
    "Bandwidth",
    "BlackHole",
    "Down",
    "HalfOpen",
    "Latency",
    "LimitData",
    "ResetPeer",
    "Side",
    "Stream",
    "Toxic",
]

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]*$", max_length=80)]


class Toxic(BaseModel):
    """The settings of a fault. A toxic without a name gets its type's, and its direction's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    refuses: ClassVar[bool] = False
    """Whether nobody can connect while it is on."""
    spares_new: ClassVar[bool] = False
    """Whether it hits only connections that exist when it is put on."""

    type: str
    name: Name = ""
    stream: Stream

    @property
    def known_as(self) -> str:
        """Its name, such as `latency_downstream`, or `latency` where it works on both streams."""
        both = self.stream is Stream.BOTH
        return self.name or (self.type if both else f"{self.type}_{self.stream}")

    def behaviour(self, _position: Position) -> Behaviour:
        """What it does there."""
        return Behaviour()

    def apply(self, connection: Affected) -> None:
        """What it does once to a connection as a whole, when its behaviours are in place."""


_STEPS_PER_SECOND = 50
"""Data goes on in steps, not when all of what was read has had its time."""


class Bandwidth(Toxic):
    """A stream of each connection gets `bytes_per_second`.

    Toxiproxy's `rate`, there in KB/s.
    """

    type: Literal["bandwidth"] = "bandwidth"
    bytes_per_second: Annotated[int, Field(ge=1)]

    def behaviour(self, position: Position) -> Behaviour:
        """A wire of that width."""
        return _Wire(self.bytes_per_second, position.since)


class _Wire(Behaviour):
    def __init__(self, bytes_per_second: int, since: float) -> None:
        self._bytes_per_second = bytes_per_second
        self._free_at = since

    def most_bytes(self, piece: Piece) -> int:
        return max(1, min(piece.size_bytes, self._bytes_per_second // _STEPS_PER_SECOND))

    def leaves_at(self, piece: Piece, at: float) -> float:
        return max(at, self._free_at) + piece.size_bytes / self._bytes_per_second

    def passed(self, _piece: Piece, at: float) -> None:
        self._free_at = at


class BlackHole(Toxic):
    """Neither data nor an end passes; when it is taken off, all that was held does.

    TCP makes this of a network that drops every packet for a while. Toxiproxy has only `timeout`,
    which loses the data. A line takes in 1 MiB, then its sender has to wait. A new connection is
    accepted, because the line stands before the hole, and gets no answer.
    """

    type: Literal["black_hole"] = "black_hole"

    def behaviour(self, _position: Position) -> Behaviour:
        """A hole."""
        return _Hole()


class _Hole(Behaviour):
    def leaves_at(self, _piece: Piece, _at: float) -> float:
        return NEVER


class Down(Toxic):
    """New connections are refused, and those that exist are cut (closed regularly).

    Toxiproxy's `enabled: false`, here a toxic like the others: taking it off brings the proxy back.
    """

    refuses: ClassVar[bool] = True

    type: Literal["down"] = "down"
    stream: Literal[Stream.BOTH] = Stream.BOTH

    def apply(self, connection: Affected) -> None:
        """Cut it."""
        connection.end(Ending.CLOSE, self.known_as)


class HalfOpen(Toxic):
    """The connections of the side that is `gone` are reset; the other side's stay open, without FIN
    or RST, and what it sends is taken and dropped.

    This is what a machine leaves that lost its power, or a gateway that forgot its connections. It
    hits the connections that exist when it is put on; new ones work, so a side that notices can go
    on. When it is taken off, the other side gets a reset, as from a machine that is back. Toxiproxy
    has no such toxic.
    """

    spares_new: ClassVar[bool] = True

    type: Literal["half_open"] = "half_open"
    stream: Literal[Stream.BOTH] = Stream.BOTH
    gone: Side

    def behaviour(self, _position: Position) -> Behaviour:
        """Silence."""
        return _Silence()

    def apply(self, connection: Affected) -> None:
        """Let go of one side."""
        connection.lose(self.gone, self.known_as)


class _Silence(Behaviour):
    def swallows(self, piece: Piece) -> bool:
        return piece.size_bytes > 0

    def leaves_at(self, _piece: Piece, _at: float) -> float:
        return NEVER

    def lifted(self) -> Ending | None:
        return Ending.RESET


class Latency(Toxic):
    """Everything takes `latency_seconds` ± `jitter_seconds` longer, evenly spread, in order.

    Toxiproxy's `latency` and `jitter`, there in milliseconds. A line holds 1 MiB, so at most
    1 MiB ÷ latency per second gets through.
    """

    type: Literal["latency"] = "latency"
    latency_seconds: Seconds
    jitter_seconds: Seconds = 0

    def behaviour(self, position: Position) -> Behaviour:
        """A delay whose jitter comes from the seed."""
        return _Delay(self, position)


class _Delay(Behaviour):
    def __init__(self, toxic: Latency, position: Position) -> None:
        self._toxic = toxic
        self._key = f"{position.seed}:{position.connection}:{position.stream}:{toxic.known_as}"

    def leaves_at(self, piece: Piece, at: float) -> float:
        return at + max(0.0, self._toxic.latency_seconds + self._jitter(piece))

    def _jitter(self, piece: Piece) -> float:
        """Drawn by the place in the stream: a replay gives the same byte the same delay, even
        where the kernel cuts the stream into other pieces before it.
        """
        most = self._toxic.jitter_seconds
        if not most:
            return 0.0
        dice = random.Random(f"{self._key}:{piece.read_offset}")  # noqa: S311 - no secret
        return dice.uniform(-most, most)


class LimitData(Toxic):
    """The connection is closed when `limit_bytes` of a stream have passed since the toxic was put
    on, or since the connection opened: a reply that is cut off. Toxiproxy's `bytes`.

    With 0 it is closed at once, where Toxiproxy waits for data.
    """

    type: Literal["limit_data"] = "limit_data"
    limit_bytes: Annotated[int, Field(ge=0)]

    def behaviour(self, position: Position) -> Behaviour:
        """A meter that closes."""
        return _Meter(self.limit_bytes, position.since)


class _Meter(Behaviour):
    def __init__(self, limit_bytes: int, since: float) -> None:
        self._left_bytes = limit_bytes
        if not limit_bytes:
            self.ends_at = since

    def most_bytes(self, _piece: Piece) -> int:
        return max(1, self._left_bytes)

    def passed(self, piece: Piece, at: float) -> None:
        self._left_bytes -= piece.size_bytes
        if self._left_bytes <= 0:
            self.ends_at = at


class ResetPeer(Toxic):
    """Both sides get a reset (RST), `timeout_seconds` after the next data in its stream came.

    As with Toxiproxy's `reset_peer` (milliseconds) that data does not arrive: upstream, the server
    never hears of a request; downstream, it has done what was asked, and the answer is lost. With
    `wait_for_data` false, which Toxiproxy has not, the time runs from when the toxic is put on or
    the connection opens, so that an idle one is hit too; data passes until then.
    """

    type: Literal["reset_peer"] = "reset_peer"
    timeout_seconds: Seconds = 0
    wait_for_data: bool = True

    def behaviour(self, position: Position) -> Behaviour:
        """A fuse, lit by data or at once."""
        if self.wait_for_data:
            return _Trap(self.timeout_seconds)
        return _Fuse(position.since + self.timeout_seconds)


class _Fuse(Behaviour):
    ending = Ending.RESET

    def __init__(self, ends_at: float) -> None:
        self.ends_at = ends_at


class _Trap(Behaviour):
    ending = Ending.RESET

    def __init__(self, delay_seconds: float) -> None:
        self._delay_seconds = delay_seconds

    def leaves_at(self, _piece: Piece, at: float) -> float:
        self.ends_at = min(self.ends_at, at + self._delay_seconds)
        return NEVER


AnyToxic = Annotated[
    Bandwidth | BlackHole | Down | HalfOpen | Latency | LimitData | ResetPeer,
    Field(discriminator="type"),
]
ANY_TOXIC: TypeAdapter[AnyToxic] = TypeAdapter(AnyToxic)

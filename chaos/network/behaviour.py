"""What a toxic does to each stream of each connection."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

NEVER = math.inf
"""The time of what does not happen while things stay as they are."""


class Stream(StrEnum):
    """A direction: `upstream` from the client to the server, `downstream` from the server to the
    client. `both`, which Toxiproxy has not, is for a toxic that works on each of them.
    """

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"
    BOTH = "both"

    @property
    def directions(self) -> tuple[Stream, ...]:
        """The one, or the two."""
        return (Stream.UPSTREAM, Stream.DOWNSTREAM) if self is Stream.BOTH else (self,)


class Side(StrEnum):
    """An end of a connection: who came to the proxy, or where the proxy went for it."""

    CLIENT = "client"
    SERVER = "server"


class Ending(StrEnum):
    """How a connection is ended, at both sides: regularly (FIN) or by a reset (RST)."""

    CLOSE = "close"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Piece:
    """The next bytes of a stream, or its end, which has no bytes.

    `offset` is the place of its first byte in the stream, `read_offset` that of the first byte
    which was read at once with it.
    """

    offset: int
    size_bytes: int
    read_offset: int


@dataclass(frozen=True)
class Position:
    """One stream of one connection, where a behaviour begins at the time `since`."""

    seed: int
    connection: int
    stream: Stream
    since: float


class Behaviour:
    """What a toxic does to one stream of one connection. This one does nothing.

    Times are seconds of the event loop's clock. The line asks about the piece at its head, again
    after every change, so an answer holds only until `passed` is called.
    """

    ends_at: float = NEVER
    """When it ends the connection."""
    ending: Ending = Ending.CLOSE

    def most_bytes(self, piece: Piece) -> int:
        """How many bytes of the piece may pass at once; 1 at least."""
        return piece.size_bytes

    def swallows(self, _piece: Piece) -> bool:
        """Whether the piece is dropped."""
        return False

    def leaves_at(self, _piece: Piece, at: float) -> float:
        """When a piece that comes at a time goes on; `NEVER`: not while the toxic is on."""
        return at

    def passed(self, _piece: Piece, _at: float) -> None:
        """The piece has gone on, at that time."""

    def lifted(self) -> Ending | None:
        """How the connection has to end when the toxic is taken off; None: it goes on."""
        return None


class Affected(Protocol):
    """A connection, for a toxic that hits it as a whole."""

    def end(self, ending: Ending, because: str) -> None:
        """End it at both sides."""

    def lose(self, side: Side, because: str) -> None:
        """Reset one side's connection; the other side hears nothing of it."""

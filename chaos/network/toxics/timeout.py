"""Data is lost, and the connection with it."""

from __future__ import annotations

from typing import Literal

from chaos.network.toxics.base import NEVER, Behaviour, Ending, Piece, Position, Seconds, Toxic


class Timeout(Toxic):
    """Data is dropped; `timeout_seconds` after it was put on, or after the connection opened, the
    connection is closed (0: never).

    As with Toxiproxy's `timeout` (milliseconds) a FIN passes, and a connection that has lost data
    is closed when the toxic is taken off: a stream with a hole cannot go on. One that lost nothing
    goes on, which Toxiproxy closes as well. For a network that loses its way for a while, under
    which TCP delivers everything in the end, take `black_hole`.
    """

    type: Literal["timeout"] = "timeout"
    timeout_seconds: Seconds = 0

    def behaviour(self, position: Position) -> Behaviour:
        """A drain with a clock."""
        return _Drain(position.since + self.timeout_seconds if self.timeout_seconds else NEVER)


class _Drain(Behaviour):
    def __init__(self, ends_at: float) -> None:
        self.ends_at = ends_at
        self._has_lost = False

    def swallows(self, piece: Piece) -> bool:
        swallows = piece.size_bytes > 0
        self._has_lost |= swallows
        return swallows

    def lifted(self) -> Ending | None:
        return Ending.CLOSE if self._has_lost else None

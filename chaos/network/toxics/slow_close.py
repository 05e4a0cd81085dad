"""The end of a connection arrives late."""

from __future__ import annotations

from typing import Literal

from chaos.network.toxics.base import Behaviour, Piece, Position, Seconds, Toxic


class SlowClose(Toxic):
    """The end of a stream goes on `delay_seconds` after it came.

    Toxiproxy's `delay`, there in milliseconds.
    """

    type: Literal["slow_close"] = "slow_close"
    delay_seconds: Seconds

    def behaviour(self, _position: Position) -> Behaviour:
        """A delay for what has no bytes."""
        return _LateEnd(self.delay_seconds)


class _LateEnd(Behaviour):
    def __init__(self, delay_seconds: float) -> None:
        self._delay_seconds = delay_seconds

    def leaves_at(self, piece: Piece, at: float) -> float:
        return at if piece.size_bytes else at + self._delay_seconds

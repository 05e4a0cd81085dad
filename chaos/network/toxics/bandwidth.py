"""Data arrives slowly."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from chaos.network.toxics.base import Behaviour, Piece, Position, Toxic

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

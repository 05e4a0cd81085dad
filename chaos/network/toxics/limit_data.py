"""The connection is closed after so many bytes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from chaos.network.toxics.base import Behaviour, Piece, Position, Toxic


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

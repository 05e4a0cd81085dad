"""One side is gone, and the other does not know."""

from __future__ import annotations

from typing import ClassVar, Literal

from chaos.network.toxics.base import (
    NEVER,
    Affected,
    Behaviour,
    Ending,
    Piece,
    Position,
    Side,
    Stream,
    Toxic,
)


class HalfOpen(Toxic):
    """The connections of the side that is `gone` are reset; the other side's stay open, without FIN
    or RST, and what it sends is taken and dropped.

    What a machine that lost its power leaves, or a gateway that forgot its connections. It hits
    those that exist when it is put on; a new one works, so that who notices can go on. When it is
    taken off the survivors get a reset, which is how a machine answers when it is back. Toxiproxy
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

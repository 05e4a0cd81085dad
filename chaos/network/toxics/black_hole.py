"""Nothing arrives, until the network is back."""

from __future__ import annotations

from typing import Literal

from chaos.network.toxics.base import NEVER, Behaviour, Piece, Position, Toxic


class BlackHole(Toxic):
    """Nothing passes, neither data nor an end; when it is taken off, all that was held does.

    What TCP makes of a network that drops every packet for a while. Toxiproxy has only `timeout`,
    which loses the data. A line takes in 1 MiB, then its sender has to wait. A new connection
    is accepted, as the proxy stands before the hole, and hears nothing.
    """

    type: Literal["black_hole"] = "black_hole"

    def behaviour(self, _position: Position) -> Behaviour:
        """A hole."""
        return _Hole()


class _Hole(Behaviour):
    def leaves_at(self, _piece: Piece, _at: float) -> float:
        return NEVER

"""The connection is reset."""

from __future__ import annotations

from typing import Literal

from chaos.network.toxics.base import NEVER, Behaviour, Ending, Piece, Position, Seconds, Toxic


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

"""The server cannot be reached."""

from __future__ import annotations

from typing import ClassVar, Literal

from chaos.network.toxics.base import Affected, Ending, Stream, Toxic


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

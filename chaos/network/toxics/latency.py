"""Data arrives later."""

from __future__ import annotations

import random
from typing import Literal

from chaos.network.toxics.base import Behaviour, Piece, Position, Seconds, Toxic


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

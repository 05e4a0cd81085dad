"""Data arrives in small pieces."""

from __future__ import annotations

import random
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from chaos.network.toxics.base import Behaviour, Piece, Position, Seconds, Toxic


class Slicer(Toxic):
    """Data goes on in pieces of `average_size_bytes` ± `size_variation_bytes`, the next one
    `delay_seconds` after the last. Toxiproxy's `average_size`, `size_variation` and `delay`, the
    last there in microseconds.
    """

    type: Literal["slicer"] = "slicer"
    average_size_bytes: Annotated[int, Field(ge=1)]
    size_variation_bytes: Annotated[int, Field(ge=0)] = 0
    delay_seconds: Seconds = 0

    @model_validator(mode="after")
    def _leaves_a_byte(self) -> Self:
        if self.size_variation_bytes >= self.average_size_bytes:
            raise ValueError("size_variation_bytes must be smaller than average_size_bytes.")
        return self

    def behaviour(self, position: Position) -> Behaviour:
        """A knife whose cuts come from the seed."""
        return _Knife(self, position)


class _Knife(Behaviour):
    def __init__(self, toxic: Slicer, position: Position) -> None:
        self._toxic = toxic
        self._key = f"{position.seed}:{position.connection}:{position.stream}:{toxic.known_as}"
        self._free_at = position.since

    def most_bytes(self, piece: Piece) -> int:
        vary, average = self._toxic.size_variation_bytes, self._toxic.average_size_bytes
        if not vary:
            return average
        dice = random.Random(f"{self._key}:{piece.offset}")  # noqa: S311 - no secret
        return dice.randint(average - vary, average + vary)

    def leaves_at(self, _piece: Piece, at: float) -> float:
        return max(at, self._free_at)

    def passed(self, _piece: Piece, at: float) -> None:
        self._free_at = at + self._toxic.delay_seconds

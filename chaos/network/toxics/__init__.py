"""The toxics, one a file: its settings and its behaviour. A new one is a name in `AnyToxic`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, TypeAdapter

from chaos.network.toxics.bandwidth import Bandwidth
from chaos.network.toxics.base import Side, Stream, Toxic
from chaos.network.toxics.black_hole import BlackHole
from chaos.network.toxics.down import Down
from chaos.network.toxics.half_open import HalfOpen
from chaos.network.toxics.latency import Latency
from chaos.network.toxics.limit_data import LimitData
from chaos.network.toxics.reset_peer import ResetPeer
from chaos.network.toxics.slicer import Slicer
from chaos.network.toxics.slow_close import SlowClose
from chaos.network.toxics.timeout import Timeout

__all__ = [
    "ANY_TOXIC",
    "AnyToxic",
    "Bandwidth",
    "BlackHole",
    "Down",
    "HalfOpen",
    "Latency",
    "LimitData",
    "ResetPeer",
    "Side",
    "Slicer",
    "SlowClose",
    "Stream",
    "Timeout",
    "Toxic",
]

AnyToxic = Annotated[
    Bandwidth
    | BlackHole
    | Down
    | HalfOpen
    | Latency
    | LimitData
    | ResetPeer
    | Slicer
    | SlowClose
    | Timeout,
    Field(discriminator="type"),
]
ANY_TOXIC: TypeAdapter[AnyToxic] = TypeAdapter(AnyToxic)

"""Prices per model, and what a model cannot make, as data: each with the date at which it was read,
and where.

The reference prices are those of the reference runs of 2025-10 (character $0.039, a video of
4 s $1.20); the others are the provider's list prices of 2026.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

REFERENCE_IMAGE_MODEL = "gemini-2.5-flash-image"
REFERENCE_VIDEO_MODEL = "veo-3.0-generate-001"


@dataclass(frozen=True)
class Price:
    """What one `unit` of a model's output costs, in USD, at a `resolution`."""

    model: str
    unit: Literal["image", "second"]
    resolution: str
    usd: Decimal
    as_of: date
    source: str


class UnknownPriceError(ValueError):
    """No price is recorded for a model and resolution, so its cost could not be told."""

    def __init__(self, model: str, unit: str, resolution: str) -> None:
        known = ", ".join(f"{p.model} at {p.resolution}" for p in PRICES if p.unit == unit)
        super().__init__(
            f"no price per {unit} is known for the model {model!r} at {resolution}; "
            f"known: {known}. Choose one of these, or add the price to workflows/pricing.py."
        )


_REFERENCE = (date(2025, 10, 1), "reference runs")
_LIST = (date(2026, 9, 1), "provider's price list")

PRICES = (
    Price(REFERENCE_IMAGE_MODEL, "image", "1K", Decimal("0.039"), *_REFERENCE),
    Price(REFERENCE_VIDEO_MODEL, "second", "720p", Decimal("0.30"), *_REFERENCE),
    Price("gemini-3.1-flash-image", "image", "1K", Decimal("0.067"), *_LIST),
    Price("veo-3.1-generate-preview", "second", "720p", Decimal("0.40"), *_LIST),
    Price("veo-3.1-generate-preview", "second", "1080p", Decimal("0.40"), *_LIST),
    Price("veo-3.1-fast-generate-preview", "second", "720p", Decimal("0.10"), *_LIST),
    Price("veo-3.1-fast-generate-preview", "second", "1080p", Decimal("0.12"), *_LIST),
    Price("veo-3.1-lite-generate-preview", "second", "720p", Decimal("0.05"), *_LIST),
    Price("veo-3.1-lite-generate-preview", "second", "1080p", Decimal("0.08"), *_LIST),
)


@dataclass(frozen=True)
class LengthRule:
    """At a `resolution`, models whose name begins with `models` make videos of `seconds` only."""

    models: str
    resolution: str
    seconds: int
    as_of: date
    source: str


class ImpossibleLengthError(ValueError):
    """The API would refuse a video of that length, after its image was paid for."""

    def __init__(self, seconds: int, rule: LengthRule) -> None:
        super().__init__(
            f"VIDEO_SECONDS must be {rule.seconds} where VIDEO_RESOLUTION is {rule.resolution}, "
            f"not {seconds}; set VIDEO_SECONDS={rule.seconds}, or VIDEO_RESOLUTION=720p."
        )


_GUIDE = (date(2026, 9, 17), "provider's guide to Veo, parameter durationSeconds")

LENGTH_RULES = (
    LengthRule("veo-3.1-", "1080p", 8, *_GUIDE),
    LengthRule("veo-3.1-", "4k", 8, *_GUIDE),
)

IMAGE_RESOLUTION = "1K"
"""The size that the image models make unless they are asked for another."""


def image_cost_usd(model: str) -> Decimal:
    """The price of one image. Raises UnknownPriceError."""
    return _price(model, "image", IMAGE_RESOLUTION).usd


def video_cost_usd(model: str, seconds: int, resolution: str = "720p") -> Decimal:
    """The price of one video of that length. Raises UnknownPriceError."""
    return _price(model, "second", resolution).usd * seconds


def require_possible_length(model: str, seconds: int, resolution: str) -> None:
    """Raises ImpossibleLengthError."""
    for rule in LENGTH_RULES:
        is_meant = model.startswith(rule.models) and resolution == rule.resolution
        if is_meant and seconds != rule.seconds:
            raise ImpossibleLengthError(seconds, rule)


def _price(model: str, unit: Literal["image", "second"], resolution: str) -> Price:
    for price in PRICES:
        if (price.model, price.unit, price.resolution) == (model, unit, resolution):
            return price
    raise UnknownPriceError(model, unit, resolution)

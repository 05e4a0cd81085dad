"""Prices per model, as data: each with the date at which it was read, and where.

The reference prices are those of the reference runs of 2025-10 (character $0.039, a video of
4 s $1.20); the others are the provider's list prices of 2026 at 720p or 1K.
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
    """What one `unit` of a model's output costs, in USD."""

    model: str
    unit: Literal["image", "second"]
    usd: Decimal
    as_of: date
    source: str


class UnknownPriceError(ValueError):
    """No price is recorded for a model, so its cost could not be told."""

    def __init__(self, model: str, unit: str) -> None:
        known = ", ".join(sorted(price.model for price in PRICES if price.unit == unit))
        super().__init__(
            f"no price per {unit} is known for the model {model!r}; known: {known}. "
            "Choose one of these, or add the price to workflows/pricing.py."
        )


_REFERENCE = (date(2025, 10, 1), "reference runs")
_LIST = (date(2026, 9, 1), "provider's price list")

PRICES = (
    Price(REFERENCE_IMAGE_MODEL, "image", Decimal("0.039"), *_REFERENCE),
    Price(REFERENCE_VIDEO_MODEL, "second", Decimal("0.30"), *_REFERENCE),
    Price("gemini-3.1-flash-image", "image", Decimal("0.067"), *_LIST),
    Price("veo-3.1-generate-preview", "second", Decimal("0.40"), *_LIST),
    Price("veo-3.1-fast-generate-preview", "second", Decimal("0.10"), *_LIST),
    Price("veo-3.1-lite-generate-preview", "second", Decimal("0.05"), *_LIST),
)


def image_cost_usd(model: str) -> Decimal:
    """The price of one image. Raises UnknownPriceError."""
    return _price(model, "image").usd


def video_cost_usd(model: str, seconds: int) -> Decimal:
    """The price of one video of that length. Raises UnknownPriceError."""
    return _price(model, "second").usd * seconds


def _price(model: str, unit: Literal["image", "second"]) -> Price:
    for price in PRICES:
        if (price.model, price.unit) == (model, unit):
            return price
    raise UnknownPriceError(model, unit)

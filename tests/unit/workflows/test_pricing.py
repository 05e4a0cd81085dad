"""The reference prices, what is said of a model that has none, and what no model can make."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from workflows.pricing import (
    LENGTH_RULES,
    PRICES,
    REFERENCE_IMAGE_MODEL,
    REFERENCE_VIDEO_MODEL,
    ImpossibleLengthError,
    LengthRule,
    Price,
    UnknownPriceError,
    image_cost_usd,
    require_possible_length,
    video_cost_usd,
)

CHARACTER = image_cost_usd(REFERENCE_IMAGE_MODEL)
VIDEO = video_cost_usd(REFERENCE_VIDEO_MODEL, 4)


def test_reference_costs() -> None:
    assert (Decimal("0.039"), Decimal("1.20")) == (CHARACTER, VIDEO)
    assert Decimal("3.639") == CHARACTER + 3 * VIDEO
    assert video_cost_usd(REFERENCE_VIDEO_MODEL, 8) == Decimal("2.40")


def test_an_unknown_image_model_is_named_with_what_to_do() -> None:
    with pytest.raises(UnknownPriceError) as raised:
        image_cost_usd("a-new-model")
    assert str(raised.value) == (
        "no price per image is known for the model 'a-new-model' at 1K; "
        "known: gemini-2.5-flash-image at 1K, gemini-3.1-flash-image at 1K. "
        "Choose one of these, or add the price to workflows/pricing.py."
    )


def test_an_image_model_makes_no_videos() -> None:
    with pytest.raises(UnknownPriceError, match="no price per second"):
        video_cost_usd(REFERENCE_IMAGE_MODEL, 4)


@pytest.mark.parametrize(
    ("model", "resolution", "expected"),
    [
        ("veo-3.1-generate-preview", "720p", "1.60"),
        ("veo-3.1-generate-preview", "1080p", "1.60"),
        ("veo-3.1-fast-generate-preview", "720p", "0.40"),
        ("veo-3.1-fast-generate-preview", "1080p", "0.48"),
        ("veo-3.1-lite-generate-preview", "720p", "0.20"),
        ("veo-3.1-lite-generate-preview", "1080p", "0.32"),
    ],
)
def test_a_video_of_4_seconds_costs_what_the_list_says(
    model: str, resolution: str, expected: str
) -> None:
    assert video_cost_usd(model, 4, resolution) == Decimal(expected)


def test_an_unknown_resolution_is_named_with_what_is_known() -> None:
    with pytest.raises(UnknownPriceError) as raised:
        video_cost_usd(REFERENCE_VIDEO_MODEL, 4, "1080p")
    said = str(raised.value)
    assert said.startswith(
        "no price per second is known for the model 'veo-3.0-generate-001' at 1080p; "
        "known: veo-3.0-generate-001 at 720p, veo-3.1-generate-preview at 720p, "
    )
    assert said.endswith(". Choose one of these, or add the price to workflows/pricing.py.")


def test_each_model_has_one_price_above_zero_at_a_resolution() -> None:
    keys = [(price.model, price.resolution) for price in PRICES]
    assert sorted(keys) == sorted(set(keys))
    assert all(price.usd > 0 for price in PRICES)


@pytest.mark.parametrize(
    "read", [*PRICES, *LENGTH_RULES], ids=lambda read: f"{type(read).__name__} {read.resolution}"
)
def test_each_entry_says_when_and_where_it_was_read(read: Price | LengthRule) -> None:
    assert date(2025, 10, 1) <= read.as_of <= date(2026, 12, 31)
    assert read.source


VEO_3_1 = sorted({price.model for price in PRICES if price.model.startswith("veo-3.1-")})


@pytest.mark.parametrize("model", VEO_3_1)
@pytest.mark.parametrize("resolution", ["1080p", "4k"])
def test_veo_3_1_makes_large_videos_of_8_seconds_only(model: str, resolution: str) -> None:
    require_possible_length(model, 8, resolution)
    for seconds in (4, 6):
        with pytest.raises(ImpossibleLengthError, match="VIDEO_SECONDS must be 8 "):
            require_possible_length(model, seconds, resolution)


@pytest.mark.parametrize("model", [*VEO_3_1, REFERENCE_VIDEO_MODEL])
@pytest.mark.parametrize("seconds", [4, 6, 8])
def test_a_small_video_may_have_any_length(model: str, seconds: int) -> None:
    require_possible_length(model, seconds, "720p")

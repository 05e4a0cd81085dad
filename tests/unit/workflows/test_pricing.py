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


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        pytest.param(CHARACTER, "0.039", id="a character"),
        pytest.param(VIDEO, "1.20", id="a video of 4 s"),
        pytest.param(CHARACTER + VIDEO, "1.239", id="a single"),
        pytest.param(CHARACTER + 3 * VIDEO, "3.639", id="a series of 3"),
        pytest.param(CHARACTER + 2 * VIDEO, "2.439", id="saved after video 2"),
        pytest.param(5 * (CHARACTER + VIDEO), "6.195", id="five singles"),
    ],
)
def test_reference_costs(cost: Decimal, expected: str) -> None:
    assert cost == Decimal(expected)


def test_a_longer_video_costs_more() -> None:
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


def test_an_image_costs_what_the_list_says() -> None:
    assert image_cost_usd("gemini-3.1-flash-image") == Decimal("0.067")


def test_an_unknown_resolution_is_named_with_what_is_known() -> None:
    with pytest.raises(UnknownPriceError) as raised:
        video_cost_usd(REFERENCE_VIDEO_MODEL, 4, "1080p")
    said = str(raised.value)
    assert said.startswith(
        "no price per second is known for the model 'veo-3.0-generate-001' at 1080p; "
        "known: veo-3.0-generate-001 at 720p, veo-3.1-generate-preview at 720p, "
    )
    assert said.endswith(". Choose one of these, or add the price to workflows/pricing.py.")


def test_each_model_has_one_price_at_a_resolution() -> None:
    keys = [(price.model, price.resolution) for price in PRICES]
    assert sorted(keys) == sorted(set(keys))


@pytest.mark.parametrize("price", PRICES, ids=lambda price: f"{price.model} {price.resolution}")
def test_each_price_says_when_and_where_it_was_read(price: Price) -> None:
    assert date(2025, 10, 1) <= price.as_of <= date(2026, 12, 31)
    assert price.source


@pytest.mark.parametrize("price", PRICES, ids=lambda price: f"{price.model} {price.resolution}")
def test_each_price_is_more_than_nothing(price: Price) -> None:
    assert price.usd > 0


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


@pytest.mark.parametrize("rule", LENGTH_RULES, ids=lambda rule: f"{rule.models} {rule.resolution}")
def test_each_rule_says_when_and_where_it_was_read(rule: LengthRule) -> None:
    assert date(2025, 10, 1) <= rule.as_of <= date(2026, 12, 31)
    assert rule.source

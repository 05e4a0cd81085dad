"""The reference prices, and what is said of a model that has none."""

from __future__ import annotations

from decimal import Decimal

import pytest

from workflows.pricing import (
    PRICES,
    REFERENCE_IMAGE_MODEL,
    REFERENCE_VIDEO_MODEL,
    UnknownPriceError,
    image_cost_usd,
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
        "no price per image is known for the model 'a-new-model'; "
        "known: gemini-2.5-flash-image, gemini-3.1-flash-image. "
        "Choose one of these, or add the price to workflows/pricing.py."
    )


def test_an_image_model_makes_no_videos() -> None:
    with pytest.raises(UnknownPriceError, match="no price per second"):
        video_cost_usd(REFERENCE_IMAGE_MODEL, 4)


def test_each_model_has_one_price() -> None:
    models = [price.model for price in PRICES]
    assert sorted(models) == sorted(set(models))

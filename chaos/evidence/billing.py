"""Who bills for a run, and at which prices."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from tests.chaos.video.fake_api.ledger import Item, Usd
from workflows.pricing import (
    REFERENCE_IMAGE_MODEL,
    REFERENCE_VIDEO_MODEL,
    image_cost_usd,
    video_cost_usd,
)

REFERENCE_VIDEO_SECONDS = 4


class Mode(StrEnum):
    """`mocked`: the fake API, on this machine. `live`: the real one, for real money."""

    MOCKED = "mocked"
    LIVE = "live"


class Billing(BaseModel):
    """The mode of a case and the price of each item, in USD."""

    model_config = ConfigDict(frozen=True)

    mode: Mode
    prices_usd: Mapping[Item, Usd]


REFERENCE = Billing(
    mode=Mode.MOCKED,
    prices_usd={
        Item.IMAGE: image_cost_usd(REFERENCE_IMAGE_MODEL),
        Item.VIDEO: video_cost_usd(REFERENCE_VIDEO_MODEL, REFERENCE_VIDEO_SECONDS),
    },
)
"""The fake API's prices: those of the reference runs."""

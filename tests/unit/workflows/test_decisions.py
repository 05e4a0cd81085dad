"""Which decisions on an open call are taken, and what is said of the others."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from workflows.decisions import objection
from workflows.models import CHARACTER, Choice, Decision, Item, OpenCall, video_step

STEP = video_step(2)
NAME = "models/m/operations/1"
OPEN_VIDEO = OpenCall(
    step=STEP,
    item=Item.VIDEO,
    cost_usd=Decimal("1.20"),
    sent_at=datetime(2026, 11, 24, 12, 0, tzinfo=UTC),
    settle_at=None,
    ambiguous=1,
    reason="no reply",
)
LOST_VIDEO = OPEN_VIDEO.model_copy(update={"ambiguous": 0, "lost": 1})
OPEN_IMAGE = OPEN_VIDEO.model_copy(update={"step": CHARACTER, "item": Item.IMAGE})
UNDER_WAY = OPEN_VIDEO.model_copy(
    update={"settle_at": datetime(2026, 11, 24, 12, 1, 5, tzinfo=UTC)}
)


@pytest.mark.parametrize(
    ("call", "decision"),
    [
        (OPEN_VIDEO, Decision(step=STEP, choice=Choice.MADE, provider_operation=NAME)),
        (OPEN_VIDEO, Decision(step=STEP, choice=Choice.RESEND)),
        (OPEN_VIDEO, Decision(step=STEP, choice=Choice.GIVE_UP)),
        (LOST_VIDEO, Decision(step=STEP, choice=Choice.MADE, provider_operation=NAME)),
        (LOST_VIDEO, Decision(step=STEP, choice=Choice.RESEND)),
        (LOST_VIDEO, Decision(step=STEP, choice=Choice.GIVE_UP)),
        (OPEN_IMAGE, Decision(step=CHARACTER, choice=Choice.RESEND)),
        (OPEN_IMAGE, Decision(step=CHARACTER, choice=Choice.GIVE_UP)),
    ],
    ids=lambda value: f"{value.step} {getattr(value, 'choice', 'open')}",
)
def test_a_decision_that_fits_is_taken(call: OpenCall, decision: Decision) -> None:
    assert objection(call, decision) is None


@pytest.mark.parametrize("choice", Choice)
def test_without_an_open_call_there_is_nothing_to_decide(choice: Choice) -> None:
    decision = Decision(step=STEP, choice=choice, provider_operation=NAME)
    assert objection(None, decision) == "there is nothing to decide now."


@pytest.mark.parametrize("choice", Choice)
def test_a_call_whose_reply_may_still_come_is_not_decided(choice: Choice) -> None:
    decision = Decision(step=STEP, choice=choice, provider_operation=NAME)
    expected = "its reply may still come until 12:01:05 UTC; decide after that."
    assert objection(UNDER_WAY, decision) == expected


@pytest.mark.parametrize("choice", Choice)
def test_a_decision_on_another_step_is_not_taken(choice: Choice) -> None:
    decision = Decision(step="video-001", choice=choice, provider_operation=NAME)
    expected = "the open call is that of 'video-002', not of 'video-001'."
    assert objection(OPEN_VIDEO, decision) == expected


def test_an_image_cannot_be_called_made() -> None:
    decision = Decision(step=CHARACTER, choice=Choice.MADE, provider_operation=NAME)
    expected = "an image cannot be fetched later: choose resend or give_up."
    assert objection(OPEN_IMAGE, decision) == expected


@pytest.mark.parametrize("name", [None, "", "7", "models/veo", "operations/7"])
def test_a_video_that_was_made_needs_its_name(name: str | None) -> None:
    decision = Decision(step=STEP, choice=Choice.MADE, provider_operation=name)
    expected = "made needs provider_operation, such as models/MODEL/operations/ID."
    assert objection(OPEN_VIDEO, decision) == expected

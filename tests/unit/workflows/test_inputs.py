"""Which inputs and decisions a workflow takes, and what it says of the others."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pydantic_core import to_json

from workflows import policies
from workflows.inputs import decision_objection, excess_of, read_input
from workflows.models import (
    CHARACTER,
    Choice,
    Decision,
    Item,
    OpenCall,
    Progress,
    SeriesVideoInput,
    SingleVideoInput,
    video_step,
)
from workflows.service.schemas import SeriesConfig

SINGLE = {"character_prompt": "a fox", "video_prompt": "it waves"}


def series(*prompts: str) -> dict[str, object]:
    return {"character_prompt": "a fox", "video_prompts": list(prompts)}


def test_a_right_input_is_read_and_nothing_is_said() -> None:
    config, objection = read_input(SingleVideoInput, [SINGLE])
    assert config == SingleVideoInput(character_prompt="a fox", video_prompt="it waves")
    assert objection is None


def test_what_earlier_runs_of_a_series_did_comes_back_whole() -> None:
    progress = Progress(operation_id="op", progress_percent=40)
    given = SeriesVideoInput(character_prompt="a fox", video_prompts=("a",), progress=progress)
    config, objection = read_input(SeriesVideoInput, [given.model_dump(mode="json")])
    assert (config, objection) == (given, None)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([], "it takes one input, a JSON object; it got 0."),
        ([SINGLE, SINGLE], "it takes one input, a JSON object; it got 2."),
        ([b"\x00"], "its input is wrong: it: input should be a valid dictionary or instance"),
        ([None], "its input is wrong: it: input should be a valid dictionary or instance"),
        ([{"character_prompt": 7}], "its input is wrong: character_prompt: input should be a"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_sentence(given: list[object], sentence: str) -> None:
    config, objection = read_input(SingleVideoInput, given)
    assert config is None
    assert objection
    assert objection.startswith(sentence)


@pytest.mark.parametrize("videos", [0, policies.MAX_SERIES_VIDEOS + 1])
def test_a_series_of_a_wrong_length_is_told(videos: int) -> None:
    _, objection = read_input(SeriesVideoInput, [series(*["a"] * videos)])
    assert objection == f"a series has 1 to 1000 videos, not {videos}."


@pytest.mark.parametrize("letter", ["x", "é"])
def test_prompts_that_would_not_fit_into_a_payload_are_told(letter: str) -> None:
    size = policies.MAX_PROMPTS_BYTES // len(letter.encode())
    excess = excess_of(SeriesVideoInput(character_prompt="a fox", video_prompts=(letter * size,)))
    assert excess
    assert excess.endswith("bytes together; 1,000,000 is the limit.")
    fits = SingleVideoInput(character_prompt="a fox", video_prompt=letter * (size - 100))
    assert excess_of(fits) is None


def test_what_the_service_just_takes_is_taken() -> None:
    prompts = ["x" * 7990] * 125
    room = policies.MAX_PROMPTS_BYTES - len(to_json(("", *prompts)))
    taken = SeriesConfig.model_validate({"characterPrompt": "x" * room, "videoPrompts": prompts})
    longest = SeriesVideoInput(
        character_prompt=taken.character_prompt, video_prompts=tuple(taken.video_prompts)
    )
    assert excess_of(longest) is None


def test_the_progress_of_earlier_runs_does_not_count_as_prompts() -> None:
    progress = Progress(operation_id="op", failure="x" * policies.MAX_PROMPTS_BYTES)
    given = {**series("a"), "progress": progress.model_dump(mode="json")}
    config, objection = read_input(SeriesVideoInput, [given])
    assert config
    assert (objection, excess_of(config)) == (None, None)


# Decisions on an open call


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
    assert decision_objection(call, decision) is None


@pytest.mark.parametrize("choice", Choice)
def test_without_an_open_call_there_is_nothing_to_decide(choice: Choice) -> None:
    decision = Decision(step=STEP, choice=choice, provider_operation=NAME)
    assert decision_objection(None, decision) == "there is nothing to decide now."


@pytest.mark.parametrize("choice", Choice)
def test_a_call_whose_reply_may_still_come_is_not_decided(choice: Choice) -> None:
    decision = Decision(step=STEP, choice=choice, provider_operation=NAME)
    expected = "its reply may still come until 12:01:05 UTC; decide after that."
    assert decision_objection(UNDER_WAY, decision) == expected


@pytest.mark.parametrize("choice", Choice)
def test_a_decision_on_another_step_is_not_taken(choice: Choice) -> None:
    decision = Decision(step="video-001", choice=choice, provider_operation=NAME)
    expected = "the open call belongs to 'video-002', not to 'video-001'."
    assert decision_objection(OPEN_VIDEO, decision) == expected


def test_an_image_cannot_be_called_made() -> None:
    decision = Decision(step=CHARACTER, choice=Choice.MADE, provider_operation=NAME)
    expected = "an image cannot be fetched later: choose resend or give_up."
    assert decision_objection(OPEN_IMAGE, decision) == expected


@pytest.mark.parametrize("name", [None, "", "7", "models/veo", "operations/7"])
def test_a_video_that_was_made_needs_its_name(name: str | None) -> None:
    decision = Decision(step=STEP, choice=Choice.MADE, provider_operation=name)
    expected = "made needs provider_operation, such as models/MODEL/operations/ID."
    assert decision_objection(OPEN_VIDEO, decision) == expected

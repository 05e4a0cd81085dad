"""What is said of a workflow's input, whatever it is."""

from __future__ import annotations

import pytest
from pydantic_core import to_json

from workflows import policies
from workflows.inputs import excess_of, read_input
from workflows.models import Progress, SeriesVideoInput, SingleVideoInput
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
        ([], "it takes one input, a JSON object, not 0."),
        ([SINGLE, SINGLE], "it takes one input, a JSON object, not 2."),
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
    assert excess.endswith("bytes together; 1,000,000 are possible.")
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

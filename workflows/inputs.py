"""What a workflow is given from outside, its input and decisions: why one cannot be taken.

Workflows read their input by themselves. Left to the SDK, an input of a wrong form would fail the
first workflow task, which is tried again for ever: the workflow would run, and do nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails, to_json

from workflows import policies
from workflows.models import Choice, Decision, Item, OpenCall, SeriesVideoInput, SingleVideoInput

_OPERATION_NAME = re.compile(r"models/[^/\s]+/operations/[^/\s]+")

Input = TypeVar("Input", SingleVideoInput, SeriesVideoInput)


def read_input(kind: type[Input], given: Sequence[object]) -> tuple[Input | None, str | None]:
    """The input of a workflow; and, or in its place, a sentence why it cannot be taken."""
    if len(given) != 1:
        return None, f"it takes one input, a JSON object; it got {len(given)}."
    try:
        config = kind.model_validate(given[0])
    except ValidationError as error:
        return None, f"its input is wrong: {'; '.join(map(_fault, error.errors()))}."
    return config, _wrong_length(config)


def excess_of(config: SingleVideoInput | SeriesVideoInput) -> str | None:
    """A sentence where its prompts are too long; those that the service takes are not."""
    videos = (
        config.video_prompts if isinstance(config, SeriesVideoInput) else (config.video_prompt,)
    )
    size = size_of((config.character_prompt, *videos))
    if size <= policies.MAX_PROMPTS_BYTES:
        return None
    most = f"{policies.MAX_PROMPTS_BYTES:,} is the limit"
    return f"its prompts have {size:,} bytes together; {most}."


def size_of(prompts: Sequence[str]) -> int:
    """What all prompts of an operation take of a payload, in bytes."""
    return len(to_json(prompts))


def decision_objection(call: OpenCall | None, decision: Decision) -> str | None:
    """Why an operator's decision on an open call cannot be taken; None where it can."""
    if call is None:
        return "there is nothing to decide now."
    if call.settle_at is not None:
        return f"its reply may still come until {call.settle_at:%H:%M:%S} UTC; decide after that."
    if decision.step != call.step:
        return f"the open call belongs to {call.step!r}, not to {decision.step!r}."
    if decision.choice is Choice.MADE and call.item is Item.IMAGE:
        return "an image cannot be fetched later: choose resend or give_up."
    name = decision.provider_operation or ""
    if decision.choice is Choice.MADE and not _OPERATION_NAME.fullmatch(name):
        return "made needs provider_operation, such as models/MODEL/operations/ID."
    return None


def _wrong_length(config: SingleVideoInput | SeriesVideoInput) -> str | None:
    if isinstance(config, SingleVideoInput):
        return None
    videos, most = len(config.video_prompts), policies.MAX_SERIES_VIDEOS
    return None if 1 <= videos <= most else f"a series has 1 to {most} videos, not {videos}."


def _fault(fault: ErrorDetails) -> str:
    where = ".".join(str(part) for part in fault["loc"]) or "it"
    return f"{where}: {fault['msg'][:1].lower()}{fault['msg'][1:]}"

"""The workflows of the video system, and what they should come to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, Self

from pydantic import model_validator

from chaos.evidence.bills import Charge
from chaos.evidence.spec import WorkflowSpec
from tests.chaos.video.fake_api.bills import Item
from workflows.models import CHARACTER, SeriesVideoInput, SingleVideoInput, video_step
from workflows.policies import MAX_CONCURRENT_ACTIVITIES

SLOTS = MAX_CONCURRENT_ACTIVITIES
"""Activities that one worker does at once."""


SINGLE: Final = "SingleVideo"
SERIES: Final = "SeriesVideo"


class VideoSpec(WorkflowSpec):
    """A single video or a series. The key of each charge is its prompt, which names the workflow:
    a mix-up shows.
    """

    workflow_type: Literal["SingleVideo", "SeriesVideo"]
    character_prompt: str
    video_prompts: tuple[str, ...]
    checkpoints: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _as_before(cls, fields: Any) -> Any:
        """An `expectations.json` of the releases before 0.2."""
        if not isinstance(fields, dict) or "made" not in fields:
            return fields
        known = {name: value for name, value in fields.items() if name != "made"}
        items = _things(fields["character_prompt"], fields["video_prompts"])[: fields["made"]]
        known["charges"] = [charge.model_dump(mode="json") for charge in items]
        known["may_be_charged_twice"] = known.pop("may_be_billed_twice", [])
        return known

    @property
    def prompts(self) -> tuple[str, ...]:
        """The character's, then the videos' in order."""
        return self.character_prompt, *self.video_prompts

    @property
    def steps(self) -> Mapping[str, str]:
        """The step of the workflow that each prompt is for."""
        videos = [video_step(number) for number, _ in enumerate(self.video_prompts, start=1)]
        return dict(zip(self.prompts, (CHARACTER, *videos), strict=True))

    def asking(
        self, *, character: str | None = None, videos: tuple[str, ...] | None = None
    ) -> Self:
        """The same with other prompts; of these as many are made as of the former."""
        character = self.character_prompt if character is None else character
        videos = self.video_prompts if videos is None else videos
        made = None if len(self.charges) == len(self.prompts) else len(self.charges)
        return self.model_copy(
            update={
                "arguments": _arguments(self.workflow_type, character, videos),
                "character_prompt": character,
                "video_prompts": videos,
                "charges": _things(character, videos)[:made],
            }
        )

    def but_made(self, count: int, update: Mapping[str, Any] | None = None) -> Self:
        """The same, of which only so many prompts, the character's first, are made and paid for."""
        charges = _things(self.character_prompt, self.video_prompts)[:count]
        return self.model_copy(update={"charges": charges, **(update or {})})


def _things(character: str, videos: tuple[str, ...]) -> tuple[Charge, ...]:
    image = Charge(item=Item.IMAGE, key=character)
    return (image, *(Charge(item=Item.VIDEO, key=prompt) for prompt in videos))


def single(workflow_id: str) -> VideoSpec:
    """A single video that completes."""
    character, video = (
        f"a portrait of the hero of {workflow_id}",
        f"the hero of {workflow_id} waves",
    )
    return VideoSpec(
        workflow_id=workflow_id,
        workflow_type=SINGLE,
        arguments=_arguments(SINGLE, character, (video,)),
        character_prompt=character,
        video_prompts=(video,),
        charges=_things(character, (video,)),
        checkpoints=("started", "character_generated", "video_generated", "complete"),
    )


def series(workflow_id: str, videos: int) -> VideoSpec:
    """A series that completes."""
    numbers = range(1, videos + 1)
    character = f"a portrait of the hero of {workflow_id}"
    prompts = tuple(f"the hero of {workflow_id}, scene {n}." for n in numbers)
    return VideoSpec(
        workflow_id=workflow_id,
        workflow_type=SERIES,
        arguments=_arguments(SERIES, character, prompts),
        character_prompt=character,
        video_prompts=prompts,
        charges=_things(character, prompts),
        checkpoints=(
            "started",
            "character_generated",
            *(f"video_{n}_complete" for n in numbers),
            "all_complete",
        ),
    )


def _arguments(kind: str, character: str, videos: tuple[str, ...]) -> tuple[Any, ...]:
    if kind == SINGLE:
        return (SingleVideoInput(character_prompt=character, video_prompt=videos[0]),)
    return (SeriesVideoInput(character_prompt=character, video_prompts=videos),)

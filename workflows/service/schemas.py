"""What crosses the wire: requests as a client writes them, and answers, both in camelCase."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from workflows import models, policies
from workflows.inputs import size_of
from workflows.models import Choice, Item, SeriesVideoInput, SingleVideoInput, Stage

MAX_PROMPT_CHARACTERS = 8_000
"""Of one prompt: several times what the models read."""

MAX_BODY_BYTES = 3 * 1024 * 1024
"""Of a request's body: the prompts, also where a client writes `\\u00e9` for an é, six bytes for
two.
"""

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$"
"""An operation's id names a folder (`workflows/artifacts.py`) and a part of a URL."""

OPERATION_NAME_PATTERN = r"^models/[A-Za-z0-9._~-]+/operations/[A-Za-z0-9._~-]+$"

# Not blank, and no NUL, which PostgreSQL stores in no text. What `\s` stands for differs between
# here and a reader of the OpenAPI description in these two characters, so they count as blank too.
_PROMPT_PATTERN = r"^[^\x00]*[^\s\x00\u0085\uFEFF][^\x00]*$"

OperationId = Annotated[str, Field(pattern=ID_PATTERN, examples=["fox-in-the-rain"])]
Prompt = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_PROMPT_CHARACTERS,
        pattern=_PROMPT_PATTERN,
        examples=["a fox in a raincoat"],
    ),
]


class _Wire(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        hide_input_in_errors=True,
    )


class _Request(_Wire):
    model_config = ConfigDict(
        extra="forbid", validate_by_name=False, validate_by_alias=True, strict=False
    )


class SingleConfig(_Request):
    """The prompts of a character and of one video of it."""

    character_prompt: Prompt
    video_prompt: Prompt


class SeriesConfig(_Request):
    """The prompts of a character and of the videos of it, in order."""

    character_prompt: Prompt
    video_prompts: Annotated[
        tuple[Prompt, ...], Field(min_length=1, max_length=policies.MAX_SERIES_VIDEOS)
    ]

    @model_validator(mode="after")
    def _fits_a_payload(self) -> Self:
        size = size_of((self.character_prompt, *self.video_prompts))
        if size > policies.MAX_PROMPTS_BYTES:
            raise ValueError(
                f"has prompts of {size:,} bytes together; "
                f"{policies.MAX_PROMPTS_BYTES:,} is the limit"
            )
        return self


class SingleRequest(_Request):
    """Start a single video."""

    template_type: Literal["single"]
    config: SingleConfig
    operation_id: OperationId | None = None

    @property
    def workflow_input(self) -> SingleVideoInput:
        """What the workflow is given."""
        return SingleVideoInput(
            character_prompt=self.config.character_prompt, video_prompt=self.config.video_prompt
        )


class SeriesRequest(_Request):
    """Start a series of videos."""

    template_type: Literal["series"]
    config: SeriesConfig
    operation_id: OperationId | None = None

    @property
    def workflow_input(self) -> SeriesVideoInput:
        """What the workflow is given."""
        return SeriesVideoInput(
            character_prompt=self.config.character_prompt, video_prompts=self.config.video_prompts
        )


StartRequest = Annotated[SingleRequest | SeriesRequest, Field(discriminator="template_type")]


class MadeRequest(_Request):
    """Decide that the provider did begin the video, under this name."""

    step: Annotated[str, Field(min_length=1, max_length=100, examples=["video-001"])]
    choice: Literal["made"]
    provider_operation: Annotated[
        str,
        Field(
            max_length=500,
            pattern=OPERATION_NAME_PATTERN,
            examples=["models/veo/operations/abc123"],
        ),
    ]


class OtherRequest(_Request):
    """Decide to send the call again, at the risk of paying twice, or to give the operation up."""

    step: Annotated[str, Field(min_length=1, max_length=100, examples=["video-001"])]
    choice: Literal["resend", "give_up"]


DecideRequest = Annotated[MadeRequest | OtherRequest, Field(discriminator="choice")]


def decision(request: MadeRequest | OtherRequest) -> models.Decision:
    """The signal's argument."""
    name = request.provider_operation if isinstance(request, MadeRequest) else None
    return models.Decision(
        step=request.step, choice=Choice(request.choice), provider_operation=name
    )


class Errors(_Wire):
    """What is wrong, a sentence for each fault."""

    errors: Annotated[tuple[str, ...], Field(min_length=1)]


class Accepted(_Wire):
    """What was asked for will be done; `statusUrl` shows when."""

    operation_id: str
    status_url: str


class Kind(StrEnum):
    """The two templates."""

    SINGLE = "single"
    SERIES = "series"


class Status(StrEnum):
    """How an operation stands with Temporal."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"


class ArtifactView(_Wire):
    """A finished file, named relative to the artifact folder."""

    path: str
    sha256: str
    size_bytes: int


class CheckpointView(_Wire):
    """A point that was passed for good, with the whole cost up to it, in USD."""

    name: str
    at: datetime
    cost_usd: Decimal
    artifact: ArtifactView | None


class OpenCallView(_Wire):
    """A paid request that may have been billed although no reply came, or (`lost` counts these)
    whose video can be fetched no more.

    With `settleAt` its reply may still come until then; without, somebody has to decide.
    """

    step: str
    item: Item
    cost_usd: Decimal
    sent_at: datetime
    settle_at: datetime | None
    ambiguous: int
    reason: str
    lost: int
    provider_operation: str | None


class WaitingView(_Wire):
    """What is out of order that the operation depends on, and when it tries again."""

    until: datetime
    reason: str


class ProgressView(_Wire):
    """What an operation has done. `video` is the one in the making, from 1; money is in USD."""

    stage: Stage
    progress_percent: int
    paused: bool
    video: int | None
    checkpoints: tuple[CheckpointView, ...]
    artifacts: tuple[str, ...]
    cost_usd: Decimal
    possible_waste_usd: Decimal
    undecided: OpenCallView | None
    waiting: WaitingView | None
    hint: str | None
    failure: str | None

    @classmethod
    def of(cls, progress: models.Progress) -> Self:
        """The progress as it is shown."""
        shown = progress.model_dump(exclude={"operation_id"})
        return cls(**shown, artifacts=[artifact.path for artifact in progress.artifacts])


class AttemptView(_Wire):
    """An activity that is not done yet. `nextAttemptAt` is set while it waits for its retry,
    `trouble` while something within its attempt fails that it gets over by itself.
    """

    activity: str
    attempt: int
    max_attempts: int | None
    last_failure: str | None
    next_attempt_at: datetime | None
    trouble: str | None


class OperationView(_Wire):
    """All about one operation.

    `videos` is how many it makes, null where it was not started by this service. Where `progress`
    is null, `progressMissing` says why. `attempts` are of activities that are not done yet;
    `alerts` are sentences for people.
    """

    operation_id: str
    type: Kind
    status: Status
    started_at: datetime
    closed_at: datetime | None
    videos: int | None
    progress: ProgressView | None
    progress_missing: str | None
    attempts: tuple[AttemptView, ...]
    alerts: tuple[str, ...]


class OperationsView(_Wire):
    """A page of the list; `nextPageToken` asks for the next one, and is null on the last."""

    operations: Sequence[OperationView]
    next_page_token: str | None


class Health(_Wire):
    """It is well."""

    status: Literal["ok"] = "ok"

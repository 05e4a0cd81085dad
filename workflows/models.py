"""What crosses a process boundary: inputs, steps and results, typed and serialisable.

Only paths and hashes of images and videos stand here, never their bytes: a history holds
each payload for good and refuses more than 2 MB.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """An immutable value. Unknown fields are ignored, so old workers read new payloads."""

    model_config = ConfigDict(frozen=True)


class Artifact(Record):
    """A finished file, named relative to the artifact folder."""

    path: str
    sha256: str
    size_bytes: int


class Stage(StrEnum):
    """What an operation is doing now, or how it ended."""

    STARTED = "started"
    GENERATING_CHARACTER = "generating_character"
    STARTING_VIDEO = "starting_video"
    AWAITING_VIDEO = "awaiting_video"
    DOWNLOADING_VIDEO = "downloading_video"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELED = "canceled"


class Checkpoint(Record):
    """A point that an operation passed and will not pass again.

    `cost_usd` is the cost of the whole operation up to here.
    """

    name: str
    at: datetime
    cost_usd: Decimal
    artifact: Artifact | None = None


class Progress(Record):
    """Everything a user may ask about an operation, while it runs and after it ended.

    `video` is the number of the video in the making, counted from 1. `cost_usd` covers the
    replies that reached the workflow; what a provider billed for a reply that was lost on its
    way is in the provider's books only.
    """

    operation_id: str
    stage: Stage = Stage.STARTED
    progress_percent: int = 0
    paused: bool = False
    video: int | None = None
    checkpoints: tuple[Checkpoint, ...] = ()
    cost_usd: Decimal = Decimal(0)
    failure: str | None = None

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """The files made so far: the character first, then the videos in order."""
        return tuple(point.artifact for point in self.checkpoints if point.artifact)


class SingleVideoInput(Record):
    """One character and one video of it."""

    character_prompt: str
    video_prompt: str


class SeriesVideoInput(Record):
    """One character and a video of it for each prompt, in order.

    `progress` is set only where a long series continues as new: what the earlier runs did.
    """

    character_prompt: str
    video_prompts: tuple[str, ...]
    progress: Progress | None = None


class CharacterOrder(Record):
    """Input of `generate_character`."""

    operation_id: str
    prompt: str


class Character(Record):
    """A paid image, on disk."""

    artifact: Artifact
    cost_usd: Decimal


class VideoOrder(Record):
    """Input of `start_video`; `number` counts from 1."""

    operation_id: str
    number: int
    prompt: str
    character: Artifact


class StartedVideo(Record):
    """A paid video in the making, under the provider's name for it."""

    provider_operation: str
    cost_usd: Decimal


class VideoStatus(Record):
    """A video's state: not done (`uri` is None), or done and ready under `uri`."""

    uri: str | None = None


class VideoDownload(Record):
    """Input of `download_video`; `number` counts from 1."""

    operation_id: str
    number: int
    uri: str

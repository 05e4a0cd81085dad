"""What crosses a process boundary: inputs, steps and results, typed and serialisable.

Only paths and hashes of images and videos stand here, never their bytes: a history holds
each payload for good and refuses more than 2 MB.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, FailFast


class Record(BaseModel):
    """An immutable value. Unknown fields are ignored, so old workers read new payloads."""

    model_config = ConfigDict(frozen=True)


T = TypeVar("T")

Entries = Annotated[tuple[T, ...], FailFast()]
"""A list of which only the first wrong entry is reported: there may be a million of them."""


class Artifact(Record):
    """A finished file, named relative to the artifact folder."""

    path: str
    sha256: str
    size_bytes: int


class Item(StrEnum):
    """What is paid for."""

    IMAGE = "image"
    VIDEO = "video"


class OpenCall(Record):
    """A paid request that may have been billed although no reply came.

    `settle_at` is when that will be certain; None: it is certain already, and somebody has to
    decide. `ambiguous` (so called in histories) counts the requests of the step that are in doubt,
    `lost` those whose video can be fetched no more. Where the last one is such,
    `provider_operation` is its name.
    """

    step: str
    item: Item
    cost_usd: Decimal
    sent_at: datetime
    settle_at: datetime | None
    ambiguous: int
    reason: str
    lost: int = 0
    provider_operation: str | None = None


class Choice(StrEnum):
    """What an operator may decide of an open call."""

    MADE = "made"
    RESEND = "resend"
    GIVE_UP = "give_up"


class Decision(Record):
    """An operator's answer to the open call of `step`.

    `made`: the provider has the video, under the name `provider_operation`. `resend`: buy it
    again, at the risk of paying twice. `give_up`: end the operation; what was made is kept.
    """

    step: str
    choice: Choice
    provider_operation: str | None = None


class Waiting(Record):
    """An operation that waits, by itself, for what it depends on: `reason` says what is amiss."""

    until: datetime
    reason: str


class Postponement(Record):
    """Details of a failure after which nothing is to be tried again for so long."""

    seconds: float


class Stage(StrEnum):
    """What an operation is doing now, or how it ended."""

    STARTED = "started"
    GENERATING_CHARACTER = "generating_character"
    STARTING_VIDEO = "starting_video"
    AWAITING_VIDEO = "awaiting_video"
    DOWNLOADING_VIDEO = "downloading_video"
    UNDECIDED = "undecided"
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

    `video` is the number of the video in the making, counted from 1. `cost_usd` is what was paid
    for what was made; `possible_waste_usd` what requests may have cost whose replies were lost.
    `undecided` is the call that waits for a `Decision`; `hint` says why one was not taken.
    `waiting` is set while what it depends on is out of order, and tells when it is tried again.
    """

    operation_id: str
    stage: Stage = Stage.STARTED
    progress_percent: int = 0
    paused: bool = False
    video: int | None = None
    checkpoints: Entries[Checkpoint] = ()
    cost_usd: Decimal = Decimal(0)
    possible_waste_usd: Decimal = Decimal(0)
    undecided: OpenCall | None = None
    waiting: Waiting | None = None
    hint: str | None = None
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
    video_prompts: Entries[str]
    progress: Progress | None = None


UNDECIDED = "AmbiguousCall"
"""Type of the failure that carries an `OpenCall` from an activity to its workflow."""

WORKER_LOST = "WorkerLost"
"""Type of the failure by which a fleet ends the attempts of a worker that died."""

VIDEO_NOT_MADE = "VideoNotMade"
"""Type of the failure by which the provider says that it failed for now and charges nothing."""

NOT_BILLED = frozenset({"VideoFailed", "VideoFiltered", VIDEO_NOT_MADE})
"""Failures after which the provider does not charge for the video it began."""

VIDEO_LOST = "VideoLost"
"""Type of the failure that tells a workflow that a video can be fetched no more."""

NOTHING_DELIVERED = "NothingDelivered"
"""Type of the failure by which the provider says that a video is done, and delivers none."""

KEY_REFUSED = "InvalidApiKey"
"""Type of the failure by which the provider refuses the key."""

OUTAGES = frozenset(
    {"Unreachable", "Unavailable", "ServerError", "NoReply", "ConnectionLost", "UnreadableReply"}
    | {"NoResult", "Redirected", "QuotaUsedUp", "NotSent", "LedgerError"}
)
"""Failures of what a step depends on, not of the step: a workflow waits until they are over."""

CHARACTER = "character"
"""The step that makes the character."""


def video_step(number: int) -> str:
    """The step that makes a video; `number` counts from 1."""
    return f"video-{number:03}"


class OperationOrder(Record):
    """Input of `open_operation`: the prompt of each step, which is then fixed."""

    operation_id: str
    prompts: dict[str, str]


class PaidOrder(Record):
    """The input that both paid activities have.

    `resends` is how many requests in doubt of this step an operator allowed to send again, and
    `rebuys` how many whose video is lost; `made_as` the provider's name for a video that an
    operator knows to have been begun.
    """

    operation_id: str
    prompt: str
    resends: int = 0
    rebuys: int = 0
    made_as: str | None = None


class CharacterOrder(PaidOrder):
    """Input of `generate_character`."""


class Character(Record):
    """A paid image, on disk."""

    artifact: Artifact
    cost_usd: Decimal
    possible_waste_usd: Decimal = Decimal(0)


class VideoOrder(PaidOrder):
    """Input of `start_video`; `number` counts from 1."""

    number: int
    character: Artifact


class StartedVideo(Record):
    """A paid video in the making, under the provider's name for it.

    `artifact` is set where an earlier submission already fetched it, and it is whole.
    `deadline_seconds` is how long its worker would have it awaited (None: the policy's time);
    `await_until` is when that is over, by the server's clock.
    """

    operation_id: str
    number: int
    provider_operation: str
    cost_usd: Decimal
    possible_waste_usd: Decimal = Decimal(0)
    artifact: Artifact | None = None
    deadline_seconds: float | None = None
    await_until: datetime | None = None


class VideoStatus(Record):
    """A video's state: not done, ready under `uri`, or on disk as `artifact` already.

    `trouble` says why the last look failed, if it did.
    """

    uri: str | None = None
    artifact: Artifact | None = None
    trouble: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether there is nothing more to wait for."""
        return bool(self.uri or self.artifact)


class VideoDownload(Record):
    """Input of `download_video`; `number` counts from 1."""

    operation_id: str
    number: int
    uri: str
    provider_operation: str = ""

"""The four steps of a video. Two are paid for: `generate_character` and `start_video`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from temporalio import activity
from temporalio.exceptions import ApplicationError

from workflows import policies
from workflows.artifacts import SUFFIXES, ArtifactError, ArtifactStore
from workflows.cashier import Cashier, PaidButLostError, UndecidedError
from workflows.gemini import ApiError, Gemini, Image, Outcome
from workflows.ledger import BudgetExceededError, LedgerError, OtherPromptError
from workflows.models import (
    CHARACTER,
    NOT_BILLED,
    UNDECIDED,
    Artifact,
    Character,
    CharacterOrder,
    Item,
    OperationOrder,
    StartedVideo,
    VideoDownload,
    VideoOrder,
    VideoStatus,
    video_step,
)
from workflows.paid_calls import Purchase
from workflows.replies import ImageReplies, VideoReplies
from workflows.settings import Settings

UNKNOWN_NAME = frozenset({"NotFound", "RequestRefused"})
"""How the API answers when it is asked for an operation that it does not know."""

_FINAL = (ArtifactError, BudgetExceededError, OtherPromptError, PaidButLostError)
"""What another attempt does not mend."""

logger = logging.getLogger("workflows.activities")


@dataclass(frozen=True)
class VideoActivities:
    """The activities, bound to one client, one till and one artifact folder."""

    gemini: Gemini
    cashier: Cashier
    artifacts: ArtifactStore
    settings: Settings

    @activity.defn
    async def open_operation(self, order: OperationOrder) -> None:
        """Bind the operation's id to its prompts (free)."""
        async with _attempt():
            await asyncio.to_thread(self.cashier.ledger.register, order.operation_id, order.prompts)

    @activity.defn
    async def generate_character(self, order: CharacterOrder) -> Character:
        """Make the character's image (paid) and put it on disk."""
        purchase = Purchase(
            operation_id=order.operation_id,
            step=CHARACTER,
            item=Item.IMAGE,
            model=self.settings.gemini_image_model,
            cost_usd=self.settings.image_cost_usd(),
            deadline_seconds=self.settings.image_deadline_seconds,
        )
        async with _attempt():
            bill = await self.cashier.buy(
                purchase,
                order,
                ImageReplies(self.artifacts),
                lambda may_send: self.gemini.generate_image(order.prompt, may_send),
            )
            artifact = bill.call.artifact
            if artifact is None:
                raise ArtifactError("the ledger names no file for the character; stop all work.")
            await asyncio.to_thread(self.artifacts.load, artifact)
            return Character(
                artifact=artifact,
                cost_usd=bill.call.cost_usd,
                possible_waste_usd=bill.possible_waste_usd,
            )

    @activity.defn
    async def start_video(self, order: VideoOrder) -> StartedVideo:
        """Have the provider begin a video (paid) and return its name there."""
        purchase = Purchase(
            operation_id=order.operation_id,
            step=video_step(order.number),
            item=Item.VIDEO,
            model=self.settings.gemini_video_model,
            cost_usd=self.settings.video_cost_usd(),
            deadline_seconds=self.settings.video_start_deadline_seconds,
        )
        async with _attempt():
            data = await asyncio.to_thread(self.artifacts.load, order.character)
            character = Image(data, _mime_type(order.character))
            bill = await self.cashier.buy(
                purchase,
                await self._with_a_known_name(order),
                VideoReplies(self.artifacts),
                lambda may_send: self.gemini.start_video(order.prompt, character, may_send),
            )
            return StartedVideo(
                operation_id=order.operation_id,
                number=order.number,
                provider_operation=bill.call.provider_operation or "",
                cost_usd=bill.call.cost_usd,
                possible_waste_usd=bill.possible_waste_usd,
                artifact=await asyncio.to_thread(self._whole, bill.call.artifact),
                deadline_seconds=self.settings.video_deadline_seconds,
            )

    @activity.defn
    async def await_video(self, video: StartedVideo) -> VideoStatus:
        """Poll until the video is made (free).

        Returns "not done" when it has waited for as long as it may, and at once where the worker
        is told to stop, so that the workflow hands the wait to another worker: a wait of minutes
        neither delays the stop nor uses up an attempt.
        """
        longest = longest_wait(video.await_until, activity.info().started_time)
        end = time.monotonic() + longest.total_seconds()
        async with _attempt():
            while True:
                try:
                    status = await self.gemini.poll_video(video.provider_operation)
                except ApiError as error:
                    if error.code in NOT_BILLED:
                        await asyncio.to_thread(self._refund, video, str(error))
                    raise
                left_seconds = end - time.monotonic()
                if status.uri or left_seconds <= 0:
                    return status
                pause_seconds = min(self.settings.video_poll_seconds, left_seconds)
                if await _worker_stops_within(pause_seconds):
                    return status

    @activity.defn
    async def download_video(self, video: VideoDownload) -> Artifact:
        """Fetch a finished video (free) and put it on disk, unless it is there already."""
        ledger, step = self.cashier.ledger, video_step(video.number)
        async with _attempt():
            bought = await asyncio.to_thread(ledger.outcome, video.operation_id, step)
            made = await asyncio.to_thread(self._whole, bought.artifact if bought else None)
            if made:
                return made
            await asyncio.to_thread(self.artifacts.prepare, video.operation_id)
            data = await self.gemini.download_video(video.uri)
            artifact = await asyncio.to_thread(
                self.artifacts.save, video.operation_id, f"{step}.mp4", data
            )
            try:
                await asyncio.to_thread(ledger.keep, video.operation_id, step, artifact)
            except LedgerError as error:
                logger.warning("%s is not on record, only on disk: %s", artifact.path, error)
            return artifact

    async def _with_a_known_name(self, order: VideoOrder) -> VideoOrder:
        """The order without an operator's name that the provider does not know: a slip of the pen
        would be recorded as the outcome for good.
        """
        if order.made_as:
            try:
                await self.gemini.poll_video(order.made_as)
            except ApiError as error:
                if error.code not in UNKNOWN_NAME:
                    raise
                logger.warning("the provider does not know %s: %s", order.made_as, error)
                return order.model_copy(update={"made_as": None})
        return order

    def _whole(self, artifact: Artifact | None) -> Artifact | None:
        return artifact if artifact and self.artifacts.is_whole(artifact) else None

    def _refund(self, video: StartedVideo, reason: str) -> None:
        """The provider does not charge for this video, so it may be started again."""
        bought = self.cashier.ledger.outcome(video.operation_id, video_step(video.number))
        if bought and bought.provider_operation == video.provider_operation:
            self.cashier.ledger.refuse(bought, reason)


@asynccontextmanager
async def _attempt() -> AsyncIterator[None]:
    """Heartbeat while an attempt runs, and tell Temporal what its errors mean."""
    beat = asyncio.create_task(_heartbeat())
    try:
        yield
    except ApiError as error:
        raise ApplicationError(
            str(error),
            type=error.code,
            non_retryable=error.outcome is Outcome.PERMANENT,
            next_retry_delay=_delay_at_least(error.retry_after_seconds),
        ) from None
    except UndecidedError as error:
        raise ApplicationError(str(error), error.call, type=UNDECIDED, non_retryable=True) from None
    except LedgerError as error:
        raise ApplicationError(
            str(error), type="LedgerError", non_retryable=error.lasting
        ) from None
    except _FINAL as error:
        kind = type(error).__name__
        raise ApplicationError(str(error), type=kind, non_retryable=True) from None
    finally:
        beat.cancel()


async def _heartbeat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(policies.HEARTBEAT_INTERVAL.total_seconds())


def _delay_at_least(wish_seconds: float | None) -> timedelta | None:
    """The provider's wish where it is longer than the policy's own wait; None: the policy's."""
    if wish_seconds is None:
        return None
    policy = policies.RETRY_POLICY
    own = policy.initial_interval * policy.backoff_coefficient ** (activity.info().attempt - 1)
    wish = timedelta(seconds=wish_seconds)
    return wish if wish > own else None


def longest_wait(until: datetime | None, started: datetime) -> timedelta:
    """How long an attempt may wait. Both times are the server's: our clock may be another."""
    left = until - started if until else policies.LONGEST_WAIT
    return min(left, policies.LONGEST_WAIT)


async def _worker_stops_within(seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await activity.wait_for_worker_shutdown()
    except TimeoutError:
        return False
    return True


def _mime_type(artifact: Artifact) -> str:
    suffix = Path(artifact.path).suffix
    return next((mime for mime, known in SUFFIXES.items() if known == suffix), "image/png")

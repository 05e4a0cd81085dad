"""The four steps of a video. Two are paid for: `generate_character` and `start_video`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from workflows import policies
from workflows.api_errors import ApiError, Outcome
from workflows.artifacts import ArtifactError, ArtifactStore, mime_type_of
from workflows.gemini import Gemini
from workflows.models import (
    CHARACTER,
    KEY_REFUSED,
    NOT_BILLED,
    NOTHING_DELIVERED,
    UNDECIDED,
    VIDEO_LOST,
    Artifact,
    Character,
    CharacterOrder,
    Item,
    OperationOrder,
    Postponement,
    StartedVideo,
    VideoDownload,
    VideoOrder,
    VideoStatus,
    video_step,
)
from workflows.payments.calls import PaidRequest
from workflows.payments.execute import PaidButLostError, PaidCalls, UndecidedError
from workflows.payments.journal import BudgetExceededError, JournalError, OtherPromptError
from workflows.payments.replies import ImageReplies, VideoReplies
from workflows.settings import Settings
from workflows.success_replies import Image

_FINAL = (ArtifactError, BudgetExceededError, OtherPromptError, PaidButLostError)
"""What another attempt does not correct."""

_ENDS = frozenset({Outcome.PERMANENT, Outcome.NOT_MADE, Outcome.LOST})
"""Outcomes after which another attempt of the same activity changes nothing."""

logger = logging.getLogger("workflows.activities")


@dataclass(frozen=True)
class VideoActivities:
    """The activities, bound to one client, one payment journal and one artifact folder."""

    gemini: Gemini
    paid_calls: PaidCalls
    artifacts: ArtifactStore
    settings: Settings

    @property
    def all(self) -> Sequence[Callable[..., Any]]:
        """What a worker registers."""
        return (
            self.open_operation,
            self.generate_character,
            self.start_video,
            self.await_video,
            self.download_video,
        )

    @activity.defn
    async def open_operation(self, order: OperationOrder) -> None:
        """Bind the operation's id to its prompts (free)."""
        async with _attempt():
            self.artifacts.require_name(order.operation_id)
            await asyncio.to_thread(
                self.paid_calls.journal.register, order.operation_id, order.prompts
            )

    @activity.defn
    async def generate_character(self, order: CharacterOrder) -> Character:
        """Make the character's image (paid) and put it on disk."""
        request = PaidRequest(
            operation_id=order.operation_id,
            step=CHARACTER,
            item=Item.IMAGE,
            model=self.settings.gemini_image_model,
            cost_usd=self.settings.image_cost_usd(),
            deadline_seconds=self.settings.image_deadline_seconds,
        )
        async with _attempt():
            result = await self.paid_calls.execute(
                request,
                order,
                ImageReplies(self.artifacts),
                lambda may_send: self.gemini.generate_image(order.prompt, may_send),
            )
            artifact = result.call.artifact
            if artifact is None:
                raise ArtifactError("the journal names no file for the character; stop all work.")
            await asyncio.to_thread(self.artifacts.load, artifact)
            return Character(
                artifact=artifact,
                cost_usd=result.call.cost_usd,
                possible_waste_usd=result.possible_waste_usd,
            )

    @activity.defn
    async def start_video(self, order: VideoOrder) -> StartedVideo:
        """Have the provider begin a video (paid) and return its name there."""
        request = PaidRequest(
            operation_id=order.operation_id,
            step=video_step(order.number),
            item=Item.VIDEO,
            model=self.settings.gemini_video_model,
            cost_usd=self.settings.video_cost_usd(),
            deadline_seconds=self.settings.video_start_deadline_seconds,
            made_from=CHARACTER,
        )
        async with _attempt():
            data = await asyncio.to_thread(self.artifacts.load, order.character)
            character = Image(data, mime_type_of(order.character.path, data))
            result = await self.paid_calls.execute(
                request,
                await self._with_a_known_name(order),
                VideoReplies(self.artifacts),
                lambda may_send: self.gemini.start_video(order.prompt, character, may_send),
            )
            return StartedVideo(
                operation_id=order.operation_id,
                number=order.number,
                provider_operation=result.call.provider_operation or "",
                cost_usd=result.call.cost_usd,
                possible_waste_usd=result.possible_waste_usd,
                artifact=await asyncio.to_thread(self._whole, result.call.artifact),
                deadline_seconds=self.settings.video_deadline_seconds,
            )

    @activity.defn
    async def await_video(self, video: StartedVideo) -> VideoStatus:
        """Poll until the video is made (free).

        Returns "not done" when it has waited for as long as it may, and at once where the worker
        is asked to stop, so that the workflow hands the wait to another worker: a wait of minutes
        neither delays the stop nor uses up an attempt. Looks that fail are a part of the wait, told
        by the heartbeats.
        """
        longest = longest_wait(video.await_until, activity.info().started_time)
        end = time.monotonic() + longest.total_seconds()
        failed = 0
        async with _attempt() as heartbeat:
            made = await self._on_disk(video.operation_id, video_step(video.number))
            if made:
                return VideoStatus(artifact=made)
            while True:
                pause_seconds = self.settings.video_poll_seconds
                try:
                    status = await self._look(video)
                    failed = 0
                except ApiError as error:
                    if error.outcome is not Outcome.RETRYABLE or error.code == KEY_REFUSED:
                        raise
                    failed += 1
                    pause_seconds = _pause_seconds(pause_seconds, failed, error)
                    logger.warning("a poll failed, the next in %.1f s: %s", pause_seconds, error)
                    status = VideoStatus(trouble=str(error))
                heartbeat.trouble = status.trouble
                left_seconds = end - time.monotonic()
                if status.is_done or left_seconds <= 0:
                    return status
                if await _worker_stops_within(min(pause_seconds, left_seconds)):
                    return status

    @activity.defn
    async def download_video(self, video: VideoDownload) -> Artifact:
        """Fetch a finished video (free) and put it on disk, unless it is there already."""
        step = video_step(video.number)
        async with _attempt():
            made = await self._on_disk(video.operation_id, step)
            if made:
                return made
            await asyncio.to_thread(self.artifacts.prepare, video.operation_id)
            try:
                data = await self.gemini.download_video(video.uri)
            except ApiError as error:
                await self._settle(video, error)
                raise
            return await self._keep(video, data)

    async def _look(self, video: StartedVideo) -> VideoStatus:
        """One poll. Raises ApiError, JournalError, ArtifactError."""
        try:
            made = await self.gemini.poll_video(video.provider_operation)
        except ApiError as error:
            await self._settle(video, error)
            raise
        if made is None or made.data is None:
            return VideoStatus(uri=made.uri if made else None)
        await asyncio.to_thread(self.artifacts.prepare, video.operation_id)
        return VideoStatus(artifact=await self._keep(video, made.data))

    async def _on_disk(self, operation_id: str, step: str) -> Artifact | None:
        """The file of a video that an earlier attempt fetched without reporting it."""
        bought = await asyncio.to_thread(self.paid_calls.journal.outcome, operation_id, step)
        return await asyncio.to_thread(self._whole, bought.artifact if bought else None)

    async def _keep(self, video: StartedVideo | VideoDownload, data: bytes) -> Artifact:
        """Put a video on disk, and its file on record."""
        operation_id, step = video.operation_id, video_step(video.number)
        name = f"{step}.mp4"
        artifact = await asyncio.to_thread(self.artifacts.save, operation_id, name, data)
        what = (operation_id, step, artifact, video.provider_operation)
        try:
            await asyncio.to_thread(self.paid_calls.journal.keep, *what)
        except JournalError as error:
            logger.warning("%s is not on record, only on disk: %s", artifact.path, error)
        return artifact

    async def _settle(self, video: StartedVideo | VideoDownload, error: ApiError) -> None:
        """Record what the end of a video means for its cost, before the failure is reported.

        Raises ApplicationError, JournalError.
        """
        what = (video.operation_id, video_step(video.number), video.provider_operation, str(error))
        if error.code in NOT_BILLED:
            await asyncio.to_thread(self.paid_calls.journal.refund, *what)
        if error.outcome is Outcome.LOST:
            await asyncio.to_thread(self.paid_calls.journal.lose, *what)
            raise ApplicationError(str(error), type=VIDEO_LOST, non_retryable=True) from None

    async def _with_a_known_name(self, order: VideoOrder) -> VideoOrder:
        """The order without an operator's name that the provider does not know, or that belongs to
        another video: a mistyped name would be recorded as the outcome for good.
        """
        if order.made_as:
            own = (order.operation_id, video_step(order.number))
            if await asyncio.to_thread(self.paid_calls.journal.is_of_another, order.made_as, *own):
                logger.warning("%s is the name of another video", order.made_as)
                return order.model_copy(update={"made_as": None})
            try:
                await self.gemini.poll_video(order.made_as)
            except ApiError as error:
                is_known = error.code in {*NOT_BILLED, NOTHING_DELIVERED}
                if error.outcome is Outcome.LOST and not is_known:
                    logger.warning("the provider does not know %s: %s", order.made_as, error)
                    return order.model_copy(update={"made_as": None})
                if not is_known:
                    raise
        return order

    def _whole(self, artifact: Artifact | None) -> Artifact | None:
        return artifact if artifact and self.artifacts.is_whole(artifact) else None


@dataclass
class _Heartbeat:
    """What the heartbeats of an attempt tell beyond that it lives."""

    trouble: str | None = None

    async def keep_on(self) -> None:
        while True:
            activity.heartbeat(*([self.trouble] if self.trouble else []))
            await asyncio.sleep(policies.HEARTBEAT_INTERVAL.total_seconds())


@asynccontextmanager
async def _attempt() -> AsyncIterator[_Heartbeat]:
    """Heartbeat while an attempt runs, and tell Temporal what its errors mean."""
    heartbeat = _Heartbeat()
    beat = asyncio.create_task(heartbeat.keep_on())
    try:
        yield heartbeat
    except ApiError as error:
        wish = error.retry_after_seconds
        is_long = wish is not None and wish > policies.LONGEST_RETRY_DELAY.total_seconds()
        raise ApplicationError(
            str(error),
            *([Postponement(seconds=wish)] if wish is not None and is_long else []),
            type=error.code,
            non_retryable=is_long or error.outcome in _ENDS,
            next_retry_delay=None if is_long else _delay_at_least(wish),
        ) from None
    except UndecidedError as error:
        raise ApplicationError(str(error), error.call, type=UNDECIDED, non_retryable=True) from None
    except JournalError as error:
        raise ApplicationError(
            str(error), type="LedgerError", non_retryable=error.lasting
        ) from None
    except _FINAL as error:
        kind = type(error).__name__
        raise ApplicationError(str(error), type=kind, non_retryable=True) from None
    finally:
        beat.cancel()


def _delay_at_least(wish_seconds: float | None) -> timedelta | None:
    """The provider's wish where it is longer than the policy's own wait; None: the policy's."""
    if wish_seconds is None:
        return None
    wish = timedelta(seconds=wish_seconds)
    return wish if wish > policies.retry_interval(activity.info().attempt) else None


def _pause_seconds(usual_seconds: float, failed: int, error: ApiError) -> float:
    """Until the next poll after so many failed ones: the longer the wait, the rarer."""
    most = max(usual_seconds, policies.LONGEST_POLL_PAUSE.total_seconds())
    pause_seconds: float = min(usual_seconds * 2**failed, most)
    return max(pause_seconds, error.retry_after_seconds or 0.0)


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

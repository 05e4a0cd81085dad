"""The four steps of a video. Two are paid for: `generate_character` and `start_video`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from temporalio import activity
from temporalio.exceptions import ApplicationError

from workflows import policies
from workflows.artifacts import ArtifactError, ArtifactStore
from workflows.gemini import ApiError, Gemini, Image, Outcome
from workflows.models import (
    Artifact,
    Character,
    CharacterOrder,
    StartedVideo,
    VideoDownload,
    VideoOrder,
    VideoStatus,
)
from workflows.settings import Settings

_SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}


@dataclass(frozen=True)
class VideoActivities:
    """The activities, bound to one client, one artifact folder and one set of prices."""

    gemini: Gemini
    artifacts: ArtifactStore
    settings: Settings

    @activity.defn
    async def generate_character(self, order: CharacterOrder) -> Character:
        """Make the character's image (paid) and put it on disk."""
        async with _attempt():
            await asyncio.to_thread(self.artifacts.prepare, order.operation_id)
            image = await self.gemini.generate_image(order.prompt)
            suffix = _SUFFIXES.get(image.mime_type, ".img")
            artifact = await asyncio.to_thread(
                self.artifacts.save, order.operation_id, f"character{suffix}", image.data
            )
            return Character(artifact=artifact, cost_usd=self.settings.image_cost_usd())

    @activity.defn
    async def start_video(self, order: VideoOrder) -> StartedVideo:
        """Have the provider begin a video (paid) and return its name there."""
        async with _attempt():
            data = await asyncio.to_thread(self.artifacts.load, order.character)
            name = await self.gemini.start_video(
                order.prompt, Image(data, _mime_type(order.character))
            )
            return StartedVideo(provider_operation=name, cost_usd=self.settings.video_cost_usd())

    @activity.defn
    async def await_video(self, video: StartedVideo) -> VideoStatus:
        """Poll until the video is made (free).

        A worker that is told to stop returns "not done" at once, so that the workflow hands the
        wait to another worker: a wait of minutes neither delays the stop nor uses up an attempt.
        """
        async with _attempt():
            while True:
                status = await self.gemini.poll_video(video.provider_operation)
                if status.uri or await _worker_stops_within(self.settings.video_poll_seconds):
                    return status

    @activity.defn
    async def download_video(self, video: VideoDownload) -> Artifact:
        """Fetch a finished video (free) and put it on disk."""
        async with _attempt():
            data = await self.gemini.download_video(video.uri)
            return await asyncio.to_thread(
                self.artifacts.save, video.operation_id, f"video-{video.number:03}.mp4", data
            )


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
    except ArtifactError as error:
        # Another attempt would pay again for what cannot be stored.
        raise ApplicationError(str(error), type="ArtifactError", non_retryable=True) from None
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


async def _worker_stops_within(seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await activity.wait_for_worker_shutdown()
    except TimeoutError:
        return False
    return True


def _mime_type(artifact: Artifact) -> str:
    suffix = Path(artifact.path).suffix
    return next((mime for mime, known in _SUFFIXES.items() if known == suffix), "image/png")

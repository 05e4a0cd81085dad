"""Faults to plant in a worker that show when workers stop, are paused or die.

Each type that is ignored here is a method's or a function's, which is replaced on purpose.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from temporalio import activity

from workflows import activities, policies
from workflows.activities import VideoActivities
from workflows.api_errors import ApiError
from workflows.gemini import Gemini
from workflows.models import Artifact, PaidOrder, VideoDownload
from workflows.payments.calls import PaidCall
from workflows.payments.execute import PaidCalls, SendGuard
from workflows.success_replies import Image
from workflows.transport import MaySend


def clings_to_its_wait() -> None:
    """Go on waiting for a video although the worker is told to stop."""

    async def sleep(seconds: float) -> bool:
        await asyncio.sleep(seconds)
        return False

    activities._worker_stops_within = sleep


def drops_what_it_does_when_it_stops() -> None:
    """Give an attempt no time to end once the worker is told to stop."""
    policies.GRACEFUL_SHUTDOWN_TIMEOUT = timedelta(0)


def takes_back_what_it_pays_for_when_it_stops() -> None:
    """Record a paid request that is on its way as never sent once the worker is told to stop."""
    send = PaidCalls._send

    async def tidy(
        self: PaidCalls,
        call: PaidCall,
        order: PaidOrder,
        guard: SendGuard,
        request: Callable[[MaySend], Awaitable[Any]],
    ) -> Any:
        async def take_back() -> None:
            await activity.wait_for_worker_shutdown()
            await self._never_sent(call, "the worker stops")

        stopping = asyncio.create_task(take_back())
        try:
            return await send(self, call, order, guard, request)
        finally:
            stopping.cancel()

    PaidCalls._send = tidy  # type: ignore[method-assign, assignment]


def takes_a_nap_for_death() -> None:
    """Have the server miss a heartbeat after 2 s."""
    policies.HEARTBEAT_TIMEOUT = 2 * policies.HEARTBEAT_INTERVAL


def sends_again_when_it_wakes() -> None:
    """Ask for an image once more when its time has passed, whatever has become of the step."""
    generate = Gemini.generate_image
    again: list[asyncio.Task[Image]] = []

    async def insist(self: Gemini, prompt: str, may_send: MaySend = lambda: None) -> Image:
        end = time.monotonic() + self._settings.image_deadline_seconds
        with contextlib.suppress(ApiError, asyncio.CancelledError):
            image = await generate(self, prompt, may_send)
            if time.monotonic() < end:
                return image
        # A task of its own: the attempt is canceled, by the server and by the stop.
        again.append(asyncio.create_task(generate(self, prompt)))
        return await asyncio.shield(again[-1])

    Gemini.generate_image = insist  # type: ignore[method-assign]


def gives_up_with_its_worker() -> None:
    """Let a step fail whose three attempts were lost with their workers."""
    policies.MAX_WORKER_LOSSES = 0


def makes_it_anew_after_a_lost_download() -> None:
    """Take a download that is tried again for a reason to start the video once more."""
    download = VideoActivities.download_video

    @activity.defn(name="download_video")
    @functools.wraps(download, updated=())  # the SDK decodes the input by the original's signature
    async def anew(self: VideoActivities, video: VideoDownload) -> Artifact:
        if activity.info().attempt > 1:
            data = (self.settings.artifacts_dir / video.operation_id / "character.png").read_bytes()
            prompt = f"the hero of {video.operation_id} waves"
            await self.gemini.start_video(prompt, Image(data, "image/png"))
        return await download(self, video)

    VideoActivities.download_video = anew  # type: ignore[method-assign]

"""A worker that stops itself (SIGSTOP) once, at one boundary of one step, and says so in its log:
`python -m tests.integration.money.stopping BOUNDARY STEP`. What it runs is the real worker.

Each type that is ignored here is a method's, which is replaced on purpose.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from temporalio import activity

from tests.integration.money.boundaries import Boundary
from workflows import policies, worker
from workflows.activities import VideoActivities
from workflows.artifacts import ArtifactStore
from workflows.models import (
    CHARACTER,
    Artifact,
    Character,
    CharacterOrder,
    StartedVideo,
    VideoDownload,
    VideoOrder,
    VideoStatus,
    video_step,
)
from workflows.payments.calls import Answer, Granted, Limits, PaidCall, PaidRequest
from workflows.payments.execute import PaidCalls
from workflows.payments.journal import PaymentJournal

_WANTED = [(Boundary(sys.argv[1]), sys.argv[2])]
_file = threading.local()


def reach(boundary: Boundary, step: str) -> None:
    """Stop all of this process where this is the boundary that was asked for."""
    if (boundary, step) in _WANTED:
        _WANTED.clear()
        sys.stderr.write(f"stopped at {boundary} of {step}\n")
        sys.stderr.flush()
        # To this thread: sent to the process, another thread may take it, and this one runs on.
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


def plant_journal() -> None:
    """Boundaries around the records of a call."""
    reserve, record, keep = PaymentJournal.reserve, PaymentJournal.record, PaymentJournal.keep

    def stop_around_intent(self: PaymentJournal, request: PaidRequest, limits: Limits) -> Answer:
        reach(Boundary.BEFORE_INTENT, request.step)
        answer = reserve(self, request, limits)
        if isinstance(answer, Granted):
            reach(Boundary.AFTER_INTENT, request.step)
        return answer

    def stop_after_outcome(self: PaymentJournal, call: PaidCall, **reply: Any) -> PaidCall:
        recorded = record(self, call, **reply)
        reach(Boundary.OUTCOME_COMMITTED, call.step)
        return recorded

    def stop_after_keeping(
        self: PaymentJournal,
        operation_id: str,
        step: str,
        artifact: Artifact,
        provider_operation: str = "",
    ) -> None:
        keep(self, operation_id, step, artifact, provider_operation)
        reach(Boundary.DOWNLOAD_RECORDED, step)

    PaymentJournal.reserve = stop_around_intent  # type: ignore[method-assign]
    PaymentJournal.record = stop_after_outcome  # type: ignore[method-assign]
    PaymentJournal.keep = stop_after_keeping  # type: ignore[method-assign]


def plant_reply() -> None:
    """The boundary at which a reply is in memory only."""
    keep = PaidCalls._keep

    async def stop_with_the_reply(self: PaidCalls, call: PaidCall, *rest: Any) -> None:
        reach(Boundary.REPLY_RECEIVED, call.step)
        await keep(self, call, *rest)

    PaidCalls._keep = stop_with_the_reply  # type: ignore[method-assign, assignment]


def plant_files() -> None:
    """Boundaries within the writing of a file: a reply's, or a download's."""
    write, make, sync, rename = ArtifactStore._write, tempfile.mkstemp, os.fsync, Path.replace

    def named(self: ArtifactStore, folder: Path, name: str, data: bytes) -> None:
        _file.name = name
        try:
            write(self, folder, name, data)
        finally:
            _file.name = None

    def opened(*arguments: Any, **options: Any) -> Any:
        handle = make(*arguments, **options)
        _reach_in_file(Boundary.REPLY_OPENED, Boundary.DOWNLOAD_OPENED)
        return handle

    def synced(handle: Any) -> None:
        sync(handle)
        _reach_in_file(Boundary.REPLY_SYNCED, Boundary.DOWNLOAD_SYNCED)

    def renamed(self: Path, target: Path) -> Path:
        moved = rename(self, target)
        _reach_in_file(Boundary.REPLY_RENAMED, Boundary.DOWNLOAD_RENAMED)
        return moved

    ArtifactStore._write = named  # type: ignore[method-assign]
    tempfile.mkstemp = opened
    os.fsync = synced  # type: ignore[assignment]
    Path.replace = renamed  # type: ignore[method-assign, assignment]


def _reach_in_file(of_reply: Boundary, of_download: Boundary) -> None:
    name: str | None = getattr(_file, "name", None)
    if name:
        step = name.lstrip(".").partition(".")[0]
        if name.endswith(".sent.note"):  # whole or not there: only its rename changes anything
            if of_reply is Boundary.REPLY_RENAMED:
                reach(Boundary.NOTED, step)
            return
        reach(of_download if name.endswith(".mp4") else of_reply, step)


def plant_activities() -> None:
    """Boundaries between an activity's last line, its completion and the next one's first line.

    `wraps` gives the SDK the original's signature, by which it decodes the input.
    """
    character, start = VideoActivities.generate_character, VideoActivities.start_video
    wait, download = VideoActivities.await_video, VideoActivities.download_video

    @activity.defn(name="generate_character")
    @functools.wraps(character, updated=())
    async def stop_after_character(self: VideoActivities, order: CharacterOrder) -> Character:
        made = await character(self, order)
        reach(Boundary.BEFORE_COMPLETION, CHARACTER)
        return made

    @activity.defn(name="start_video")
    @functools.wraps(start, updated=())
    async def stop_around_start(self: VideoActivities, order: VideoOrder) -> StartedVideo:
        if order.number == 1:
            reach(Boundary.COMPLETED, CHARACTER)
        else:
            reach(Boundary.DOWNLOAD_COMPLETED, video_step(order.number - 1))
        started = await start(self, order)
        reach(Boundary.BEFORE_COMPLETION, video_step(order.number))
        return started

    @activity.defn(name="await_video")
    @functools.wraps(wait, updated=())
    async def stop_before_wait(self: VideoActivities, video: StartedVideo) -> VideoStatus:
        reach(Boundary.COMPLETED, video_step(video.number))
        return await wait(self, video)

    @activity.defn(name="download_video")
    @functools.wraps(download, updated=())
    async def stop_around_download(self: VideoActivities, video: VideoDownload) -> Artifact:
        reach(Boundary.BEFORE_DOWNLOAD, video_step(video.number))
        made = await download(self, video)
        reach(Boundary.DOWNLOAD_BEFORE_COMPLETION, video_step(video.number))
        return made

    VideoActivities.generate_character = stop_after_character  # type: ignore[method-assign]
    VideoActivities.start_video = stop_around_start  # type: ignore[method-assign]
    VideoActivities.await_video = stop_before_wait  # type: ignore[method-assign]
    VideoActivities.download_video = stop_around_download  # type: ignore[method-assign]


PLANTS: tuple[Callable[[], None], ...] = (
    plant_journal,
    plant_reply,
    plant_files,
    plant_activities,
)

if __name__ == "__main__":
    # With no slot left, a stopped worker asks for no activity that it would then sit on.
    policies.MAX_CONCURRENT_ACTIVITIES = 1
    for plant in PLANTS:
        plant()
    sys.exit(worker.main())

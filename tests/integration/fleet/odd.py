"""A supervised worker with one oddity: `python -m tests.integration.fleet.odd NAME`.

Each type that is ignored here is a method's, which is replaced on purpose.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from temporalio import activity

from workflows import worker
from workflows.activities import VideoActivities
from workflows.fleet.reports import NUMBER_VARIABLE
from workflows.models import StartedVideo, VideoStatus

FLAW_VARIABLE = "ODD_FLAW"
"""Names a file; while that is there, the first worker cannot start."""

LAST_WORDS = "there is no cure for this"


def hangs() -> None:
    """Block the event loop for good in the first attempt to await a video."""
    wait = VideoActivities.await_video

    @activity.defn(name="await_video")
    @functools.wraps(wait, updated=())  # the SDK decodes the input by the original's signature
    async def hang(self: VideoActivities, video: StartedVideo) -> VideoStatus:
        if activity.info().attempt == 1:
            time.sleep(600)  # noqa: ASYNC251 - this is the fault
        return await wait(self, video)

    VideoActivities.await_video = hang  # type: ignore[method-assign]


def crashes() -> None:
    """End at once, as the first worker and once the flaw is there."""
    if os.environ[NUMBER_VARIABLE] == "1" and Path(os.environ[FLAW_VARIABLE]).exists():
        sys.stderr.write(f"worker: {LAST_WORDS}.\n")
        sys.exit(3)


def stays() -> None:
    """Ignore SIGTERM as the first worker."""
    if os.environ[NUMBER_VARIABLE] == "1":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        vars(worker)["signal"] = SimpleNamespace(SIGTERM=signal.SIGUSR1, SIGINT=signal.SIGUSR2)


ODDITIES: dict[str, Callable[[], None]] = {
    oddity.__name__: oddity for oddity in (hangs, crashes, stays)
}

if __name__ == "__main__":
    ODDITIES[sys.argv[1]]()
    sys.exit(worker.main())

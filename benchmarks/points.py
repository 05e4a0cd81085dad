"""Where a process is killed that makes a video, and how it kills itself there.

A process in the way of a request can be killed from outside: the provider holds the request. Before
and after a step no signal from outside comes at a point, so the process does it itself, once, if a
file says so that is named after the job.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

FOLDER_VARIABLE = "BENCH_ARMED"
"""The environment variable that names the folder of the armed jobs."""


class Point(StrEnum):
    """The moments of a job of two paid steps, the image and the video, in order."""

    BEFORE_IMAGE = "before step 1"
    IN_IMAGE = "in step 1's request"
    BEFORE_VIDEO = "between the steps"
    IN_VIDEO = "in step 2's request"
    AFTER_VIDEO = "step 2 done, not yet reported"
    AWAITING = "after step 2"


BY_ITSELF = frozenset({Point.BEFORE_IMAGE, Point.BEFORE_VIDEO, Point.AFTER_VIDEO})
"""Where the process kills itself."""


def arm(folder: Path, job: str, point: Point) -> None:
    """Let the process that comes to this point of a job die there, once."""
    folder.mkdir(exist_ok=True)
    (folder / job).write_text(point)


def died_at(folder: Path, job: str) -> float | None:
    """When a job's process killed itself, in seconds since 1970; None where it has not."""
    with suppress(FileNotFoundError, ValueError):
        return float(_last_words(folder, job).read_text())
    return None


def passes(job: str, point: Point) -> None:
    """The step says that it is there. Does not return if this is where to die."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    armed = folder / job
    with suppress(FileNotFoundError):
        if armed.read_text() == point:
            armed.unlink()
            _last_words(folder, job).write_text(f"{time.time()}")
            os.kill(os.getpid(), signal.SIGKILL)


def _last_words(folder: Path, job: str) -> Path:
    return folder / f"{job}.died"

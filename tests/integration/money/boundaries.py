"""The boundaries of a step at which a worker may die, and what is then to be seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from workflows.models import CHARACTER, video_step


class Boundary(StrEnum):
    """In the order in which a paid step passes them."""

    BEFORE_INTENT = "before the intent"
    AFTER_INTENT = "after the intent"
    NOTED = "intent noted"
    REQUEST_RECEIVED = "request received by the provider"
    BILLED = "billed"
    REPLY_SENT = "reply sent"
    REPLY_RECEIVED = "reply received"
    REPLY_OPENED = "reply's file opened"
    REPLY_SYNCED = "reply's file synced"
    REPLY_RENAMED = "reply's file renamed"
    OUTCOME_COMMITTED = "outcome committed"
    BEFORE_COMPLETION = "activity done, not reported"
    COMPLETED = "activity completed"
    BEFORE_DOWNLOAD = "before the download"
    DOWNLOAD_OPENED = "download's file opened"
    DOWNLOAD_SYNCED = "download's file synced"
    DOWNLOAD_RENAMED = "download's file renamed"
    DOWNLOAD_RECORDED = "download recorded"
    DOWNLOAD_BEFORE_COMPLETION = "download done, not reported"
    DOWNLOAD_COMPLETED = "download completed"


AT_THE_PROVIDER = {Boundary.REQUEST_RECEIVED, Boundary.BILLED, Boundary.REPLY_SENT}
"""Reached on the other side of the connection: the provider holds the request there."""

NOT_YET_SENT = {Boundary.AFTER_INTENT, Boundary.NOTED}
"""A worker that wakes up here knows that it has sent nothing, and records it."""

WINDOW = {
    *NOT_YET_SENT,
    *AT_THE_PROVIDER,
    Boundary.REPLY_RECEIVED,
    Boundary.REPLY_OPENED,
    Boundary.REPLY_SYNCED,
}
"""From the intent until the reply is on disk: nobody can know whether it was paid for."""

EXPLORED = {
    Boundary.BEFORE_INTENT,
    Boundary.AFTER_INTENT,
    Boundary.REPLY_RECEIVED,
    Boundary.BEFORE_COMPLETION,
    Boundary.COMPLETED,
    Boundary.BEFORE_DOWNLOAD,
    Boundary.DOWNLOAD_BEFORE_COMPLETION,
    Boundary.DOWNLOAD_COMPLETED,
}
"""Where the explorer kills a worker as well: around each attempt and each call of the API."""

PAID = tuple(Boundary)[: tuple(Boundary).index(Boundary.COMPLETED) + 1]
DOWNLOAD = tuple(Boundary)[len(PAID) :]


@dataclass(frozen=True)
class Point:
    """One boundary of one step of a workflow of so many videos; 0 stands for a single."""

    videos: int
    step: str
    boundary: Boundary

    @property
    def workflow_id(self) -> str:
        """Of its own, and fit to be told."""
        kind = f"series-of-{self.videos}" if self.videos else "single"
        words = self.boundary.replace("'s", "").replace(",", "").replace(" ", "-")
        return f"{kind}-{self.step}-{words}"

    @property
    def in_window(self) -> bool:
        """Whether a crash here leaves a call of which nobody knows."""
        return self.boundary in WINDOW


def points(videos: int) -> Sequence[Point]:
    """All points of a workflow, in the order in which it passes them."""
    return tuple(_points(videos))


def _points(videos: int) -> Iterator[Point]:
    last = video_step(videos or 1)
    for step in (CHARACTER, *(video_step(number + 1) for number in range(videos or 1))):
        for boundary in PAID if step == CHARACTER else (*PAID, *DOWNLOAD):
            # After the last download the workflow is over: nothing is left to be killed.
            if (step, boundary) != (last, Boundary.DOWNLOAD_COMPLETED):
                yield Point(videos, step, boundary)

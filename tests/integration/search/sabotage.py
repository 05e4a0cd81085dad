"""A worker with a fault of its own that only chaos brings to light:
`python -m tests.integration.search.sabotage NAME`.

Each type that is ignored here is a method's, which is replaced on purpose.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from temporalio import activity

from workflows import worker
from workflows.activities import VideoActivities
from workflows.models import StartedVideo, VideoStatus
from workflows.operation import VideoOperation
from workflows.payments.calls import Answer, Limits, PaidRequest
from workflows.payments.journal import PaymentJournal

_TAKEN_OVER = "#taken-over"


def loses_a_checkpoint() -> None:
    """Forget the checkpoint of a video whose wait was taken over from a worker that was lost."""
    wait = VideoActivities.await_video
    awaiting, passing = VideoOperation._await_video, VideoOperation._pass

    @activity.defn(name="await_video")
    @functools.wraps(wait, updated=())  # the SDK decodes the input by the original's signature
    async def marked(self: VideoActivities, video: StartedVideo) -> VideoStatus:
        status = await wait(self, video)
        taken_over = status.uri and activity.info().attempt > 1
        return VideoStatus(uri=f"{status.uri}{_TAKEN_OVER}") if taken_over else status

    async def noticed(self: VideoOperation, *order: Any) -> VideoStatus:
        uri = (await awaiting(self, *order)).uri or ""
        vars(self)["taken_over"] = uri.endswith(_TAKEN_OVER)
        return VideoStatus(uri=uri.removesuffix(_TAKEN_OVER))

    def forgetful(self: VideoOperation, *point: Any) -> None:
        if not vars(self).pop("taken_over", False):
            passing(self, *point)

    VideoActivities.await_video = marked  # type: ignore[method-assign]
    VideoOperation._await_video = noticed  # type: ignore[method-assign, assignment]
    VideoOperation._pass = forgetful  # type: ignore[method-assign, assignment]


def pays_again() -> None:
    """Send a request once more whose worker was lost, whatever the payment journal says."""
    reserve = PaymentJournal.reserve

    def forgetful(self: PaymentJournal, request: PaidRequest, limits: Limits) -> Answer:
        if activity.info().attempt > 1:
            for call in self.calls(request.operation_id, request.step):
                self.refuse(call, "forgotten")
        return reserve(self, request, limits)

    PaymentJournal.reserve = forgetful  # type: ignore[method-assign]


SABOTAGE: dict[str, Callable[[], None]] = {
    plant.__name__: plant for plant in (loses_a_checkpoint, pays_again)
}

if __name__ == "__main__":
    SABOTAGE[sys.argv[1]]()
    sys.exit(worker.main())

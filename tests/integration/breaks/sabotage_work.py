"""Faults to plant in a worker: in what it pays for, keeps, tells and decides.

Each type that is ignored here is a method's, which is replaced on purpose.
"""

from __future__ import annotations

import functools
import os
import sys
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError

from workflows import policies
from workflows.activities import VideoActivities
from workflows.artifacts import ArtifactStore
from workflows.gemini import Gemini
from workflows.models import Artifact, Progress, StartedVideo, VideoStatus
from workflows.operation import VideoOperation
from workflows.payments.calls import Answer, Limits, PaidRequest
from workflows.payments.execute import PaidCalls, PaidResult
from workflows.payments.journal import PaymentJournal
from workflows.payments.replies import ImageReplies
from workflows.settings import Settings
from workflows.success_replies import Image
from workflows.transport import MaySend


def pays_twice() -> None:
    """Start each video twice and forget the first."""
    start = Gemini.start_video

    async def twice(
        self: Gemini, prompt: str, image: Image, may_send: MaySend = lambda: None
    ) -> str:
        await start(self, prompt, image, may_send)
        return await start(self, prompt, image, may_send)

    Gemini.start_video = twice  # type: ignore[method-assign]


def pays_again_after_a_crash() -> None:
    """Take a wait that is tried again for a reason to start the video again."""
    wait = VideoActivities.await_video

    @activity.defn(name="await_video")
    @functools.wraps(wait, updated=())  # the SDK decodes the input by the original's signature
    async def restart(self: VideoActivities, video: StartedVideo) -> VideoStatus:
        if activity.info().attempt > 1:
            scene = f"the hero of {activity.info().workflow_id}, scene 2."
            folder = self.settings.artifacts_dir / (activity.info().workflow_id or "")
            data = (folder / "character.png").read_bytes()
            name = await self.gemini.start_video(scene, Image(data, "image/png"))
            video = video.model_copy(update={"provider_operation": name})
        return await wait(self, video)

    VideoActivities.await_video = restart  # type: ignore[method-assign]


def hides_a_cost() -> None:
    """Report images as cheaper than they are."""
    Settings.image_cost_usd = lambda self: Decimal("0.01")  # type: ignore[method-assign]  # noqa: ARG005


def hides_possible_waste() -> None:
    """Keep from the workflow that an image may have been paid for in vain."""
    result = PaidCalls._result

    def spotless(self: PaidCalls, request: PaidRequest) -> PaidResult:
        return replace(result(self, request), possible_waste_usd=Decimal(0))

    PaidCalls._result = spotless  # type: ignore[method-assign]


def forgets_what_was_bought() -> None:
    """Look at no earlier call before the next is sent."""
    reserve = PaymentJournal.reserve

    def forgetful(self: PaymentJournal, request: PaidRequest, limits: Limits) -> Answer:
        for call in self.calls(request.operation_id, request.step):
            self.refuse(call, "forgotten")
        return reserve(self, request, limits)

    PaymentJournal.reserve = forgetful  # type: ignore[method-assign]


def forgets_a_checkpoint() -> None:
    """Lose the character's checkpoint once the first video is done."""
    complete = VideoOperation._complete

    def forget(self: VideoOperation, checkpoint: str) -> Progress:
        kept = tuple(c for c in self._state.checkpoints if c.name != "character_generated")
        self._update(checkpoints=kept)
        return complete(self, checkpoint)

    VideoOperation._complete = forget  # type: ignore[method-assign]


def shares_files() -> None:
    """Put the files of all operations into one folder, where they overwrite each other."""
    save, find = ArtifactStore.save, ArtifactStore.find

    def share(self: ArtifactStore, operation_id: str, name: str, data: bytes) -> Artifact:
        del operation_id
        return save(self, "shared", name, data)

    def shared(self: ArtifactStore, operation_id: str, stem: str) -> Artifact | None:
        del operation_id
        return find(self, "shared", stem)

    ArtifactStore.save = share  # type: ignore[method-assign]
    ArtifactStore.find = shared  # type: ignore[method-assign]
    ImageReplies.require_none = lambda *_: None  # type: ignore[method-assign]


def mixes_up_characters() -> None:
    """Send every video the first character that was ever loaded."""
    load = ArtifactStore.load
    first: list[bytes] = []

    def mix_up(self: ArtifactStore, artifact: Artifact) -> bytes:
        first.append(load(self, artifact))
        return first[0]

    ArtifactStore.load = mix_up  # type: ignore[method-assign]


def decides_otherwise() -> None:
    """Wait before each step, which the workflow's real code does not."""
    step = VideoOperation._between_steps

    async def wait_first(self: VideoOperation) -> None:
        await workflow.sleep(0.01)
        await step(self)

    VideoOperation._between_steps = wait_first  # type: ignore[method-assign]


def logs_the_key() -> None:
    """Write the API key to the log."""
    sys.stderr.write(f"starting with {os.environ['GEMINI_API_KEY']}\n")


def retries_sooner() -> None:
    """Retry after 2 s instead of 10."""
    policies.RETRY_POLICY = replace(policies.RETRY_POLICY, initial_interval=timedelta(seconds=2))


def never_retries() -> None:
    """Give up after one attempt, also where it was lost with its worker."""
    policies.RETRY_POLICY = replace(policies.RETRY_POLICY, maximum_attempts=1)
    policies.MAX_WORKER_LOSSES = 0


def fails_quietly() -> None:
    """End a failed operation as if it were complete."""
    step = VideoOperation._step

    async def swallow(self: VideoOperation, what: str, work: object) -> None:
        try:
            await step(self, what, work)  # type: ignore[arg-type]
        except ApplicationError:
            self._update(failure=None)

    VideoOperation._step = swallow  # type: ignore[method-assign, assignment]


def goes_back() -> None:
    """Tell a smaller percentage each time."""
    told: list[int] = [100]

    def smaller(self: VideoOperation) -> Progress:
        told.append(told[-1] - 1)
        return self._state.model_copy(update={"progress_percent": told[-1]})

    VideoOperation.progress = workflow.query(name="progress")(smaller)  # type: ignore[method-assign]

"""SIGKILL of the worker while the character is made, and of the next while a video is awaited."""

from __future__ import annotations

import signal
from collections.abc import Iterator

from chaos.environment.temporal import SHARED_SERVER
from chaos.experiment.scenario import Scenario
from chaos.invariants import Invariant, proof
from chaos.invariants.proofs.process import killed
from tests.chaos.video import specs
from tests.chaos.video.case import video_case
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.invariants.proofs import killed_during_render
from tests.chaos.video.invariants.seen import was_left_unanswered
from tests.chaos.video.lab import VideoLab

# The image in flight is billed although its client is gone, as the real API would bill it, so
# one more image is the price of this crash. The video is not: its operation's name is kept.
_SPEC = specs.single("crash-single")
_SPEC = _SPEC.model_copy(
    update={
        "may_be_charged_twice": (_SPEC.character_prompt,),
        "attempts": {"generate_character": 2, "await_video": 2},
    }
)
_VIDEO = _SPEC.video_prompts[0]


async def experiment(lab: VideoLab) -> None:
    """Three workers in turn; the third completes the workflow."""
    image = await lab.set_breakpoint(BreakAt.IMAGE)
    video = await lab.set_breakpoint(BreakAt.VIDEO)
    first = await lab.worker()
    await lab.start(_SPEC)
    async with lab.watched(_SPEC.workflow_id):
        await image.reached(lab.step_deadline_seconds)
        await lab.signal(first.child, signal.SIGKILL)
        await image.resume()
        second = await lab.worker()
        lab.note("waiting until the server misses the heartbeat (30 s) and retries (10 s)")
        await video.reached(lab.step_deadline_seconds)
        await lab.until_polled(_VIDEO)
        await lab.signal(second.child, signal.SIGKILL)
        await lab.worker()
        lab.note("waiting for heartbeat and retry once more")
        await lab.until_polled(_VIDEO)
        await video.resume()
        lab.healed("worker-2")


def killed_during_request(worker: str, call: Call, prompt: str) -> Invariant:
    """A worker got SIGKILL and died while its request lay with the provider."""

    @proof(f"killed_during_request[{worker}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        kill = killed(evidence, worker)
        if kill is None:
            yield f"{worker} was not seen to die of SIGKILL"
            return
        if not any(
            request.call is call
            and request.prompt == prompt
            and request.at < kill.at
            and was_left_unanswered(evidence, request, kill.at)
            for request in evidence.received
        ):
            yield f"no {call} request was in flight when {worker} was killed"

    return judge


SCENARIO = Scenario(
    name="worker_crash",
    title="Worker Crash Recovery",
    cases=(
        video_case(
            name="sigkill_twice",
            experiment=experiment,
            load=lambda _: (_SPEC,),
            proofs=(
                killed_during_request("worker-1", Call.IMAGE, _SPEC.character_prompt),
                killed_during_render("worker-2", _SPEC.workflow_id, _VIDEO),
            ),
            stack=SHARED_SERVER,
            about_seconds=85,
        ),
    ),
)

"""A series loses its worker after its first video; the rest is made, the first is not again."""

from __future__ import annotations

import signal
from collections.abc import Iterator

from chaos.environment.temporal import SHARED_SERVER
from chaos.evidence.journal import Event
from chaos.experiment.scenario import Scenario
from chaos.invariants import Invariant, proof
from tests.chaos.video import specs
from tests.chaos.video.case import video_case
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.invariants.proofs import killed_during_render
from tests.chaos.video.lab import VideoLab
from workflows.models import Progress

_SPEC = specs.series("checkpoint-series", videos=3).model_copy(
    update={"attempts": {"await_video": 2}}
)
_SCENE_2 = _SPEC.video_prompts[1]


async def experiment(lab: VideoLab) -> None:
    """Kill the worker when video 1 has its checkpoint and video 2 is in the making."""
    scene_2 = await lab.set_breakpoint(BreakAt.VIDEO, _SCENE_2)
    first = await lab.worker()
    await lab.start(_SPEC)
    async with lab.watched(_SPEC.workflow_id):
        await scene_2.reached(lab.step_deadline_seconds)
        await lab.until_polled(_SCENE_2)
        await lab.signal(first.child, signal.SIGKILL)
        await lab.worker()
        lab.note("waiting until the server misses the heartbeat (30 s) and retries (10 s)")
        await lab.until_polled(_SCENE_2)
        await scene_2.resume()
        lab.healed(first.child.name)
        await lab.converge(lab.step_deadline_seconds)


def checkpoint_before_kill(worker: str, workflow_id: str, checkpoint: str) -> Invariant:
    """The workflow was seen past a checkpoint before its worker was killed."""

    @proof(f"checkpoint_before_kill[{checkpoint}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        kill = evidence.first_entry(Event.SIGNALED, target=worker, signal="SIGKILL")
        workflow = evidence.workflows.get(workflow_id)
        progress = workflow.result(Progress) if workflow else None
        passed = (
            [point.at for point in progress.checkpoints if point.name == checkpoint]
            if progress
            else []
        )
        if not kill or not passed or passed[0] >= kill.at:
            yield f"{worker} was not killed after {checkpoint}"

    return judge


SCENARIO = Scenario(
    name="checkpoint",
    title="Checkpoint Recovery",
    cases=(
        video_case(
            name="sigkill_after_video_1",
            experiment=experiment,
            load=lambda _: (_SPEC,),
            proofs=(
                checkpoint_before_kill("worker-1", _SPEC.workflow_id, "video_1_complete"),
                killed_during_render("worker-1", _SPEC.workflow_id, _SCENE_2),
            ),
            stack=SHARED_SERVER,
            about_seconds=45,
        ),
    ),
)

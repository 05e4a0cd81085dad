"""A worker gets SIGTERM, or is paused: for 4 s, or until another has done its work. Or it is
replaced by the next release while it pays.
"""

from __future__ import annotations

import asyncio
import signal

from chaos.environment.temporal import SHARED_SERVER
from chaos.experiment.scenario import Scenario
from chaos.faults import PauseWorker
from chaos.invariants.proofs import was_paused
from tests.chaos.video import specs
from tests.chaos.video.case import COMMON, OWN_SERVERS, mocked_case
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.scenarios import worker_stop_deploys
from tests.chaos.video.scenarios.worker_stop_checks import (
    nothing_is_repeated,
    paused_during_request,
    paused_during_wait,
    sends_nothing_paid_when_it_resumes,
    stopped_while_awaiting,
    taken_over_while_paused,
    wait_is_handed_on,
)
from workflows.policies import HEARTBEAT_TIMEOUT

PAUSE_SECONDS = 4.0
"""Well within the heartbeat timeout, and the deadline of a paid request."""

HANDED_ON_SECONDS = 5.0
"""How long the wait may lie: a heartbeat and a retry would take 40 s."""

_LONG_DEADLINE_SECONDS = 120.0
"""A paused worker still takes tasks, of which each waits 10 s before another worker gets it."""

_PAUSED = "worker-1"

_STOPPED = specs.single("stop-single")
_BRIEFLY = specs.single("nap-single")

# The reply to the image's request comes in the pause: nobody can know that it was billed.
_PAYING = specs.single("sleep-paying")
_PAYING = _PAYING.model_copy(
    update={
        "may_be_charged_twice": (_PAYING.character_prompt,),
        "attempts": {"generate_character": 2},
    }
)
# Together they fill its slots: it asks for no more activities, which would wait with it.
_WAITING = tuple(
    spec.model_copy(update={"attempts": {"await_video": 2}})
    for spec in (specs.series("sleep-series", videos=2), specs.single("sleep-single"))
)


async def _sigterm(lab: VideoLab) -> None:
    """It awaits a video when it is told to stop, and another stands by."""
    prompt = _STOPPED.video_prompts[0]
    video = await lab.set_breakpoint(BreakAt.VIDEO)
    first = await lab.worker()
    await lab.start(_STOPPED)
    async with lab.watched(_STOPPED.workflow_id):
        await video.reached(lab.step_deadline_seconds)
        await lab.until_polled(prompt)
        await lab.worker()
        await lab.signal(first.child, signal.SIGTERM)
        await lab.until_polled(prompt)
        lab.healed(first.child.name)
        await video.resume()
        await lab.converge(lab.step_deadline_seconds)


async def _is_paused_briefly(lab: VideoLab) -> None:
    """The reply to a paid request comes in the pause; then it is paused while it awaits a video."""
    image = await lab.set_breakpoint(BreakAt.IMAGE)
    video = await lab.set_breakpoint(BreakAt.VIDEO)
    await lab.worker()
    await lab.start(_BRIEFLY)
    async with lab.watched(_BRIEFLY.workflow_id):
        await image.reached(lab.step_deadline_seconds)
        async with lab.during(PauseWorker(worker="worker-1")):
            await image.resume()
            await asyncio.sleep(PAUSE_SECONDS)  # the pause itself
        await video.reached(lab.step_deadline_seconds)
        await lab.until_polled(_BRIEFLY.video_prompts[0])
        async with lab.during(PauseWorker(worker="worker-1")):
            await asyncio.sleep(PAUSE_SECONDS)  # the pause itself
        await lab.until_polled(_BRIEFLY.video_prompts[0])
        await video.resume()
        await lab.converge(lab.step_deadline_seconds)


async def _is_paused_long(lab: VideoLab) -> None:
    """With all slots taken it is paused until another worker has done all of it."""
    image = await lab.set_breakpoint(BreakAt.IMAGE, _PAYING.character_prompt)
    prompts = [spec.video_prompts[0] for spec in _WAITING]
    videos = [await lab.set_breakpoint(BreakAt.VIDEO, prompt) for prompt in prompts]
    paused = await lab.worker()
    await asyncio.gather(*(lab.start(spec) for spec in (_PAYING, *_WAITING)))
    held = (image, *videos)
    await asyncio.gather(*(each.reached(lab.step_deadline_seconds) for each in held))
    await asyncio.gather(*(lab.until_polled(prompt) for prompt in prompts))
    async with lab.during(PauseWorker(worker="worker-1")):
        await image.resume()
        await lab.worker()
        lab.note("waiting until the server misses the heartbeats (30 s) and retries (10 s)")
        await asyncio.gather(*(lab.until_polled(prompt) for prompt in prompts))
        await asyncio.gather(*(video.resume() for video in videos))
        await lab.converge(_LONG_DEADLINE_SECONDS)
    # It finishes what it still believes to have in flight, and ends.
    await paused.child.terminate()


SCENARIO = Scenario(
    name="worker_stop",
    title="Worker Stop and Pause",
    cases=(
        mocked_case(
            name="sigterm",
            experiment=_sigterm,
            load=lambda _: (_STOPPED,),
            topologies=OWN_SERVERS,
            invariants=(*COMMON, wait_is_handed_on(_STOPPED.workflow_id, HANDED_ON_SECONDS)),
            proofs=(stopped_while_awaiting("worker-1", _STOPPED.workflow_id),),
            stack=SHARED_SERVER,
        ),
        mocked_case(
            name="sleeps_briefly",  # as in the results of older runs
            experiment=_is_paused_briefly,
            load=lambda _: (_BRIEFLY,),
            topologies=OWN_SERVERS,
            invariants=(*COMMON, nothing_is_repeated(_BRIEFLY.workflow_id)),
            proofs=(
                was_paused(_PAUSED, PAUSE_SECONDS),
                paused_during_request(_PAUSED, Call.IMAGE, _BRIEFLY.character_prompt),
                paused_during_wait(_PAUSED, _BRIEFLY.workflow_id),
            ),
            stack=SHARED_SERVER,
        ),
        mocked_case(
            name="sleeps_long",
            experiment=_is_paused_long,
            load=lambda _: (_PAYING, *_WAITING),
            topologies=OWN_SERVERS,
            invariants=(*COMMON, sends_nothing_paid_when_it_resumes(_PAUSED)),
            proofs=(
                was_paused(_PAUSED, HEARTBEAT_TIMEOUT.total_seconds()),
                paused_during_request(_PAUSED, Call.IMAGE, _PAYING.character_prompt),
                *(
                    taken_over_while_paused(_PAUSED, spec.workflow_id)
                    for spec in (_PAYING, *_WAITING)
                ),
            ),
            stack=SHARED_SERVER,
            about_seconds=65,
        ),
        *worker_stop_deploys.CASES,
    ),
)

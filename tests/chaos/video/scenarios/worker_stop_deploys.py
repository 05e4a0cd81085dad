"""Cases of `worker_stop`: the next release replaces a worker that has a paid request on its way.

What any target can show of a deploy is in the guide's headings; this is what only a worker has that
pays for what it cannot ask for again.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

from chaos.environment.supervisor import SupervisorProcess
from chaos.environment.temporal import SHARED_SERVER
from chaos.evidence.journal import Event
from chaos.invariants import Invariant, proof
from chaos.invariants.survival import replays_with
from chaos.process.waiting import wait_until
from tests.chaos.video import specs
from tests.chaos.video.api_probe import Breakpoint
from tests.chaos.video.case import COMMON, OWN_SERVERS, histories_replay, mocked_case
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.scenarios.worker_crash import killed_during_request
from tests.chaos.video.scenarios.worker_stop_checks import nothing_is_repeated
from tests.chaos.video.specs import VideoSpec
from tests.chaos.video.versions import next_release

SHORT_GRACE_SECONDS = 1.0
"""From SIGTERM to SIGKILL: enough for all that a worker does at its stop, but for the paid call,
whose reply does not come meanwhile.
"""

_IN_PEACE = specs.single("deploy-in-peace")
_IN_HASTE = specs.single("deploy-in-haste")
# The reply to the image's request finds nobody: it may be billed, and is paid for once more.
_IN_HASTE = _IN_HASTE.model_copy(
    update={
        "may_be_charged_twice": (_IN_HASTE.character_prompt,),
        "attempts": {"generate_character": 2},
    }
)

_OLD, _NEW = "fleet-1", "worker-1"

_LASTING = {"IMAGE_DEADLINE_SECONDS": "25"}
"""The request is to lie with the provider for as long as the new build takes to start."""

_INVARIANTS = (
    *(check for check in COMMON if check is not histories_replay),
    # The code that was deployed, and goes on with what is there.
    replays_with(next_release.WORKFLOWS),
)


async def _with_grace(lab: VideoLab) -> None:
    """The old build has all the time that its paid call needs."""
    image = await lab.set_breakpoint(BreakAt.IMAGE)
    old = await _paying_beside_the_new_build(lab, _IN_PEACE, image)
    async with asyncio.TaskGroup() as group:
        group.create_task(lab.signal(old.child, signal.SIGTERM))  # until it has ended
        await _is_stopping(lab, old)
        await image.resume()
    lab.healed(_OLD)
    await lab.converge(lab.step_deadline_seconds)


async def _without_grace(lab: VideoLab) -> None:
    """The old build's worker is killed before the reply comes; its supervisor sees it die."""
    image = await lab.set_breakpoint(BreakAt.IMAGE)
    old = await _paying_beside_the_new_build(lab, _IN_HASTE, image)
    (pid,) = old.pids
    old.child.send(signal.SIGTERM)
    await _is_stopping(lab, old)
    await asyncio.sleep(SHORT_GRACE_SECONDS)  # the grace itself
    old.signal(pid, signal.SIGKILL)
    await old.until_failed_over([pid])
    await image.resume()
    lab.healed(old.target)
    await lab.converge(lab.step_deadline_seconds)
    await old.child.wait(lab.step_deadline_seconds)


async def _paying_beside_the_new_build(
    lab: VideoLab, spec: VideoSpec, image: Breakpoint
) -> SupervisorProcess:
    """The old build has a paid request on its way, and the new one is there."""
    old = await lab.supervisor(1, settings=_LASTING)
    await lab.start(spec)
    await image.reached(lab.step_deadline_seconds)
    await lab.worker(version="new", settings=_LASTING)
    return old


async def _is_stopping(lab: VideoLab, old: SupervisorProcess) -> None:
    """Its worker has been told to."""
    await wait_until(
        lambda: "workflows.worker: stopping" in old.child.log.read_text(errors="replace"),
        what="the worker of the old build has begun to stop",
        deadline_seconds=lab.step_deadline_seconds,
    )


def went_on_under_the_new_build(workflow_id: str) -> Invariant:
    """The old build began the workflow; when it was gone, the new one went on with it."""

    @proof(f"went_on_under_the_new_build[{workflow_id}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        new = evidence.first_entry(Event.READY, target=_NEW)
        gone = evidence.first_entry(Event.EXITED, target=_OLD)
        workflow = evidence.workflows.get(workflow_id)
        if new is None or new.version != "new" or gone is None or gone.at < new.at:
            yield "the new build was not there before the old one was gone"
        elif workflow is None or not (
            workflow.started_at < new.at and workflow.closed_at and gone.at < workflow.closed_at
        ):
            yield f"{workflow_id} was not open from before the deploy until after it"

    return judge


def answered_after_sigterm(prompt: str) -> Invariant:
    """The old build was told to stop while an image's request lay with the provider, and ended in
    order after the answer.
    """

    @proof("answered_after_sigterm")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        told = evidence.first_entry(Event.SIGNALED, target=_OLD, signal="SIGTERM")
        gone = evidence.first_entry(Event.EXITED, after=told.at, target=_OLD) if told else None
        if told is None or gone is None or gone.exit_code != 0:
            yield "the old build was not told to stop, or did not end in order"
        elif not any(
            request.at < told.at < evidence.answers[request.request_id].at < gone.at
            for request in evidence.received
            if (request.call, request.prompt) == (Call.IMAGE, prompt)
            and request.request_id in evidence.answers
        ):
            yield "no image was being made when the old build was told to stop"

    return judge


CASES = (
    mocked_case(
        name="replaced_with_grace",
        experiment=_with_grace,
        load=lambda _: (_IN_PEACE,),
        topologies=OWN_SERVERS,
        invariants=(*_INVARIANTS, nothing_is_repeated(_IN_PEACE.workflow_id)),
        proofs=(
            answered_after_sigterm(_IN_PEACE.character_prompt),
            went_on_under_the_new_build(_IN_PEACE.workflow_id),
        ),
        stack=SHARED_SERVER,
    ),
    mocked_case(
        name="replaced_without_grace",
        experiment=_without_grace,
        load=lambda _: (_IN_HASTE,),
        topologies=OWN_SERVERS,
        invariants=_INVARIANTS,
        proofs=(
            killed_during_request(f"{_OLD}-worker", Call.IMAGE, _IN_HASTE.character_prompt),
            went_on_under_the_new_build(_IN_HASTE.workflow_id),
        ),
        stack=SHARED_SERVER,
    ),
)

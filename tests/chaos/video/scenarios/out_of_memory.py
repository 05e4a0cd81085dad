"""A reply of the paid API is larger than the memory that its worker may have: the worker dies."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator

from chaos.environment.memory import KERNEL, WATCHER
from chaos.environment.temporal import SHARED_SERVER
from chaos.evidence.journal import Event
from chaos.experiment.scenario import Scenario
from chaos.faults import OutOfMemory
from chaos.invariants import Invariant, proof
from tests.chaos.video import specs
from tests.chaos.video.case import OWN_SERVERS, mocked_case
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule, When
from tests.chaos.video.faults import BadApi
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.specs import VideoSpec

REPLY_BYTES = 64 * 1024 * 1024
MORE_BYTES = 16 * 1024 * 1024
"""Enough for all else that a worker does, and far too little for the reply."""

PATIENT = {"IMAGE_DEADLINE_SECONDS": "60"}
"""On a busy machine so large a reply takes its time, and it is not to be given up before."""


# A download is free, so nothing is lost with it. An image is billed when its reply leaves.
_DOWNLOADING = specs.single("memory-download").model_copy(
    update={"attempts": {"download_video": 2}}
)
_PAYING = specs.single("memory-image")
_PAYING = _PAYING.model_copy(
    update={
        "may_be_charged_twice": (_PAYING.character_prompt,),
        "attempts": {"generate_character": 2},
    }
)


def _experiment(target: BreakAt, spec: VideoSpec) -> Callable[[VideoLab], Awaitable[None]]:
    """The limit comes when the request lies with the provider, and with its worker it goes."""

    async def experiment(lab: VideoLab) -> None:
        held = await lab.set_breakpoint(target)
        rule = FaultRule(
            call=Call(target.value),
            kind=FaultKind.LARGE,
            when=When.AFTER_BILLING,
            size_bytes=REPLY_BYTES,
        )
        fleet = await lab.supervisor(1, settings=PATIENT)
        async with lab.during(BadApi(rule=rule)), lab.watched(spec.workflow_id):
            await lab.start(spec)
            await held.reached(lab.step_deadline_seconds)
            killed = list(fleet.pids)
            async with lab.during(OutOfMemory(place=0, more_bytes=MORE_BYTES)):
                await held.resume()
                await fleet.until_gone(killed)
            await lab.converge(lab.step_deadline_seconds)

    return experiment


def died_out_of_memory(workflow_id: str, call: Call, activity: str) -> Invariant:
    """A worker of limited memory was sent a reply to this call that did not fit. The OOM killer
    says that it ended it, it was seen to end, and the step was lost with it.
    """

    @proof(f"died_out_of_memory[{call}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        fault = next((e for e in evidence.journal if e.kind == "out_of_memory"), None)
        if fault is None:
            yield "no worker's memory was limited"
            return
        answers = [
            evidence.answers.get(request.request_id)
            for request in evidence.received
            if request.call is call
        ]
        if not any(answer and answer.kind == "large" for answer in answers):
            yield f"no {call} request got a large reply"
        killed = next((e for e in evidence.journal if e.kind in {KERNEL, WATCHER}), None)
        if killed is None:
            yield "no OOM killer says that it ended the worker"
            return
        gone = evidence.first_entry(Event.EXITED, after=fault.at, pid=killed.pid)
        if gone is None:
            yield f"pid {killed.pid} was not seen to end"
        lost = [
            each.last_failure.message
            for each in evidence.workflows[workflow_id].activities
            if each.kind == activity and each.last_failure
        ]
        named = rf"its worker {killed.pid}@.* was lost \(SIGKILL\)"
        if not any(re.match(named, message) for message in lost):
            yield f"{workflow_id} did not lose its {activity} with pid {killed.pid}"

    return judge


SCENARIO = Scenario(
    name="out_of_memory",
    title="Out of Memory",
    cases=(
        mocked_case(
            name="download",
            experiment=_experiment(BreakAt.DOWNLOAD, _DOWNLOADING),
            load=lambda _: (_DOWNLOADING,),
            topologies=OWN_SERVERS,
            proofs=(died_out_of_memory(_DOWNLOADING.workflow_id, Call.DOWNLOAD, "download_video"),),
            stack=SHARED_SERVER,
        ),
        mocked_case(
            name="image",
            experiment=_experiment(BreakAt.IMAGE, _PAYING),
            load=lambda _: (_PAYING,),
            topologies=OWN_SERVERS,
            proofs=(died_out_of_memory(_PAYING.workflow_id, Call.IMAGE, "generate_character"),),
            stack=SHARED_SERVER,
        ),
    ),
)

"""A reply of the paid API is larger than the memory that its worker may have: the worker dies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from chaos.environment.temporal import SHARED_SERVER, Topology
from chaos.evidence.bills import Mode
from chaos.experiment.scenario import Scenario
from chaos.faults import OutOfMemory
from tests.chaos.video import specs
from tests.chaos.video.case import video_case
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule, When
from tests.chaos.video.faults import BadApi
from tests.chaos.video.invariants.memory import died_out_of_memory
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.specs import VideoSpec

REPLY_BYTES = 64 * 1024 * 1024
MORE_BYTES = 16 * 1024 * 1024
"""Enough for all else that a worker does, and far too little for the reply."""

PATIENT = {"IMAGE_DEADLINE_SECONDS": "60"}
"""On a busy machine so large a reply takes its time, and it is not to be given up before."""

_MOCKED = frozenset({Mode.MOCKED})
_OWN_SERVERS = frozenset({Topology.DEV, Topology.POSTGRES})

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
            struck = list(fleet.pids)
            async with lab.during(OutOfMemory(place=0, more_bytes=MORE_BYTES)):
                await held.resume()
                await fleet.until_gone(struck)
            await lab.converge(lab.step_deadline_seconds)

    return experiment


SCENARIO = Scenario(
    name="out_of_memory",
    title="Out of Memory",
    cases=(
        video_case(
            name="download",
            experiment=_experiment(BreakAt.DOWNLOAD, _DOWNLOADING),
            load=lambda _: (_DOWNLOADING,),
            modes=_MOCKED,
            topologies=_OWN_SERVERS,
            proofs=(died_out_of_memory(_DOWNLOADING.workflow_id, Call.DOWNLOAD, "download_video"),),
            stack=SHARED_SERVER,
        ),
        video_case(
            name="image",
            experiment=_experiment(BreakAt.IMAGE, _PAYING),
            load=lambda _: (_PAYING,),
            modes=_MOCKED,
            topologies=_OWN_SERVERS,
            proofs=(died_out_of_memory(_PAYING.workflow_id, Call.IMAGE, "generate_character"),),
            stack=SHARED_SERVER,
        ),
    ),
)

"""The server stands still, goes down twice in a row, or goes down under load. It comes back each
time, and nothing is repeated: heartbeats outlast these outages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from chaos.environment.server import SERVER
from chaos.environment.temporal import Topology
from chaos.evidence.journal import Entry, Event
from chaos.experiment.scenario import Scenario
from chaos.faults import ServerDown, ServerPaused
from chaos.invariants import Invariant, proof
from chaos.invariants.proofs import was_paused
from chaos.invariants.proofs.process import lasted
from tests.chaos.video import specs
from tests.chaos.video.api_probe import Breakpoint
from tests.chaos.video.case import mocked_case
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.invariants.proofs import server_was_down
from tests.chaos.video.lab import VideoLab

PAUSE_SECONDS = 10.0
OUTAGE_SECONDS = 3.0

ANSWERED_SECONDS = 2.0
"""How soon after its return the server is killed again, by the journal's times."""

_PATIENT = {"IMAGE_DEADLINE_SECONDS": "60", "VIDEO_START_DEADLINE_SECONDS": "60"}
"""Paid requests are held until all five are where they should be, on a busy machine as well."""

_DEV = frozenset({Topology.DEV})

_PAUSED = specs.single("pause-single")
_TWICE = specs.single("twice-single")
_LOAD = tuple(specs.single(f"outage-{n}") for n in range(1, 6))
_HELD = (BreakAt.IMAGE, BreakAt.VIDEO_START, *[BreakAt.VIDEO] * 3)
_PROMPTS = (_LOAD[0].character_prompt, *(spec.video_prompts[0] for spec in _LOAD[1:]))
"""Where each of them stands when the server is killed: the first two are paying."""


async def _pause(lab: VideoLab) -> None:
    """SIGSTOP while a video is awaited: connections stand, and nobody answers."""
    video = await lab.set_breakpoint(BreakAt.VIDEO)
    await lab.worker()
    await lab.start(_PAUSED)
    async with lab.watched(_PAUSED.workflow_id):
        await video.reached(lab.step_deadline_seconds)
        await lab.until_polled(_PAUSED.video_prompts[0])
        async with lab.during(ServerPaused()):
            await asyncio.sleep(PAUSE_SECONDS)  # the pause itself
        await video.resume()
        await lab.converge(lab.step_deadline_seconds)


async def _twice_in_a_row(lab: VideoLab) -> None:
    """The second kill comes when the server has just begun to pick up its work."""
    video = await lab.set_breakpoint(BreakAt.VIDEO)
    await lab.worker()
    await lab.start(_TWICE)
    async with lab.watched(_TWICE.workflow_id):
        await video.reached(lab.step_deadline_seconds)
        await lab.until_polled(_TWICE.video_prompts[0])
        for _ in range(2):
            async with lab.during(ServerDown()):
                await lab.until_polled(_TWICE.video_prompts[0])
        await video.resume()
        await lab.converge(lab.step_deadline_seconds)


async def under_load(lab: VideoLab) -> None:
    """Two paid requests are in flight and three videos awaited, all through the outage.

    Their results come when the server is back: the SDK gives up a result that it cannot deliver for
    6 to 10 s, and on a busy machine a restart takes as long.
    """
    for point in await held_through_an_outage(lab):
        await point.resume()


async def held_through_an_outage(lab: VideoLab) -> Sequence[Breakpoint]:
    """What is in flight when the server is killed, and still is when it is back."""
    at_api = [
        await lab.set_breakpoint(target, prompt)
        for target, prompt in zip(_HELD, _PROMPTS, strict=True)
    ]
    # Five activities want five slots.
    await asyncio.gather(*(lab.worker(settings=_PATIENT) for _ in range(2)))
    await asyncio.gather(*(lab.start(spec) for spec in _LOAD))
    await asyncio.gather(*(point.reached(lab.step_deadline_seconds) for point in at_api))
    await asyncio.gather(*(lab.until_polled(scene) for scene in _PROMPTS[2:]))
    async with lab.during(ServerDown()):
        await asyncio.sleep(OUTAGE_SECONDS)  # the outage itself
    return at_api


def killed_as_soon_as_it_answered(times: int, within_seconds: float) -> Invariant:
    """The server was killed so often, each time but the first right after it had come back, and
    came back for good.
    """

    @proof(f"killed_as_soon_as_it_answered[{times}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        kills = _kills(evidence)
        if len(kills) != times:
            yield f"the server was killed {len(kills)} times, not {times}"
        for kill in kills[1:]:
            backs = [entry.at for entry in _answers(evidence) if entry.at < kill.at]
            if not backs or (kill.at - backs[-1]).total_seconds() > within_seconds:
                yield f"the server was not killed within {within_seconds:g} s of its return"
        if not kills or not any(entry.at > kills[-1].at for entry in _answers(evidence)):
            yield "the server did not come back for good"

    return judge


def all_were_in_hand(kinds: Sequence[str]) -> Invariant:
    """Every workflow had an activity in flight from before the server was killed until it was back;
    these kinds were among them.
    """

    @proof("all_were_in_hand")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        kills = _kills(evidence)
        backs = [entry.at for entry in _answers(evidence) if kills and entry.at > kills[0].at]
        if not backs:
            yield "the server was not killed, or did not restart"
            return
        found: set[str] = set()
        for expected in evidence.specs:
            workflow = evidence.workflows.get(expected.workflow_id)
            activities = workflow.activities if workflow else ()
            held = {a.kind for a in activities if lasted(a, kills[0].at, backs[0])}
            found |= held
            if not held:
                yield f"{expected.workflow_id} had nothing in flight when the server was killed"
        yield from (f"no {kind} was in flight" for kind in kinds if kind not in found)

    return judge


def _kills(evidence: VideoEvidence) -> Sequence[Entry]:
    """Each SIGKILL that the server got and died of."""
    sent = [e for e in evidence.journal if (e.target, e.signal) == (SERVER, "SIGKILL")]
    ends = {e.pid: e.exit_code for e in evidence.journal if e.event is Event.EXITED}
    return [entry for entry in sent if ends.get(entry.pid) == -9]


def _answers(evidence: VideoEvidence) -> Sequence[Entry]:
    return [e for e in evidence.journal if e.event is Event.READY and e.target == SERVER]


SCENARIO = Scenario(
    name="server_pause",
    title="Server Pauses and Restarts",
    cases=(
        mocked_case(
            name="pause",
            experiment=_pause,
            load=lambda _: (_PAUSED,),
            proofs=(was_paused(SERVER, PAUSE_SECONDS),),
            topologies=_DEV,
        ),
        mocked_case(
            name="twice_in_a_row",
            experiment=_twice_in_a_row,
            load=lambda _: (_TWICE,),
            proofs=(
                killed_as_soon_as_it_answered(2, ANSWERED_SECONDS),
                server_was_down("SIGKILL", _TWICE.workflow_id, _TWICE.video_prompts[0], 0.0),
            ),
            topologies=_DEV,
            about_seconds=30,
        ),
        mocked_case(
            name="under_load",
            experiment=under_load,
            load=lambda _: _LOAD,
            proofs=(all_were_in_hand(("generate_character", "start_video", "await_video")),),
            topologies=_DEV,
        ),
    ),
)

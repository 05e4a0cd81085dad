"""The network between a worker and the Temporal server goes bad, in each way that a network can.

Each workflow has a worker, a task queue and a link of its own, so that several faults which do not
disturb each other share a stack.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from chaos.environment.packets import why_no_packets
from chaos.environment.temporal import SHARED_SERVER
from chaos.environment.wire import SERVER, link_name
from chaos.experiment.scenario import Case, Scenario
from chaos.faults import BadNetwork, BadPackets, Fault
from chaos.invariants import Invariant
from chaos.invariants.proofs import network_was_hit, packets_were_hit
from chaos.network.toxics import (
    AnyToxic,
    Bandwidth,
    BlackHole,
    Down,
    HalfOpen,
    Latency,
    ResetPeer,
    Side,
    Stream,
)
from chaos.process.waiting import wait_until
from tests.chaos.video import specs
from tests.chaos.video.case import COMMON, OWN_SERVERS, mocked_case
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.invariants.network import (
    awaited_when_hit,
    bad_throughout,
    in_flight_when_hit,
    nothing_is_in_doubt,
)
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.specs import VideoSpec
from workflows.policies import HEARTBEAT_TIMEOUT

OUTAGE_SECONDS = 4.0
"""A fault's own length: several heartbeats are missed, and a result that cannot be delivered is not
lost yet. The SDK's worker tries that for up to 10 s, which nothing can change.
"""

PARTITION_SECONDS = 2.0
"""Shorter: TCP tries again after 0.2 s, 0.6 s, 1.4 s, 3 s, and the next one would come too late for
the heartbeats.
"""

HEARTBEAT_SECONDS = HEARTBEAT_TIMEOUT.total_seconds()
RESETS = 3

Act = Callable[[VideoLab, VideoSpec, BadNetwork], Awaitable[None]]
"""What is done to a workflow, whose worker listens on the queue of its id; it may have begun."""


@dataclass(frozen=True)
class Trial:
    """One workflow whose worker gets a bad link. `proofs` are made for that link."""

    spec: VideoSpec
    toxic: AnyToxic
    act: Act
    proofs: Callable[[str], Sequence[Invariant]]
    invariants: Sequence[Invariant] = ()


def trials(name: str, end: str, *several: Trial) -> Case:
    """A case of such trials, side by side: trial n has worker n, whose link leads to `end`."""
    links = [link_name(f"worker-{number}", end) for number in range(1, len(several) + 1)]

    async def experiment(lab: VideoLab) -> None:
        for trial in several:
            await lab.worker(task_queue=trial.spec.workflow_id, links=(end,))
        outcomes = await asyncio.gather(
            *(
                _carry_out(lab, trial, BadNetwork(link=link, toxic=trial.toxic))
                for trial, link in zip(several, links, strict=True)
            ),
            return_exceptions=True,  # one that ends early leaves the others time
        )
        for outcome in outcomes:
            if outcome:
                raise outcome

    return mocked_case(
        name=name,
        experiment=experiment,
        load=lambda _: tuple(trial.spec for trial in several),
        invariants=(*COMMON, *(one for trial in several for one in trial.invariants)),
        proofs=tuple(
            proof
            for trial, link in zip(several, links, strict=True)
            for proof in (network_was_hit(link, (trial.toxic.type,)), *trial.proofs(link))
        ),
        topologies=OWN_SERVERS,
        # A worker's line is broken, never the server.
        stack=SHARED_SERVER,
        about_seconds=45,
    )


async def _carry_out(lab: VideoLab, trial: Trial, fault: BadNetwork) -> None:
    async with lab.watched(trial.spec.workflow_id):
        await trial.act(lab, trial.spec, fault)
        await lab.until_ended(trial.spec.workflow_id)


async def begin(lab: VideoLab, spec: VideoSpec) -> None:
    """Start a workflow on the queue of its own worker."""
    await lab.start(spec, task_queue=spec.workflow_id)


async def throughout(lab: VideoLab, spec: VideoSpec, fault: Fault) -> None:
    """The link is bad from before the workflow's start until after its end."""
    async with lab.during(fault):
        await begin(lab, spec)
        await lab.until_ended(spec.workflow_id)


async def made_in_an_outage(
    lab: VideoLab, spec: VideoSpec, fault: Fault, seconds: float = OUTAGE_SECONDS
) -> None:
    """The video that is awaited gets ready while the link is bad, so the news has to wait."""
    (scene,) = spec.video_prompts
    video = await lab.set_breakpoint(BreakAt.VIDEO, scene)
    await begin(lab, spec)
    await lab.until_polled(scene)
    async with lab.during(fault):
        await video.resume()
        await asyncio.sleep(seconds)  # the outage itself


async def lost_for_long(lab: VideoLab, spec: VideoSpec, fault: BadNetwork) -> None:
    """The image is made, and its worker cannot tell anybody before it counts as dead."""
    image = await lab.set_breakpoint(BreakAt.IMAGE, spec.character_prompt)
    await begin(lab, spec)
    await image.reached(lab.step_deadline_seconds)
    async with lab.during(fault):
        await image.resume()
        await lab.until_failed(spec.workflow_id, "generate_character", attempts=1)


async def reset_again_and_again(lab: VideoLab, spec: VideoSpec, fault: BadNetwork) -> None:
    """All connections are reset, each time that the worker has new ones."""
    (scene,) = spec.video_prompts
    video = await lab.set_breakpoint(BreakAt.VIDEO, scene)
    await begin(lab, spec)
    for _ in range(RESETS):
        await lab.until_polled(scene)
        await until_connected(lab, fault.link)
        async with lab.during(fault):
            pass  # it is done when the toxic is on
    await video.resume()


async def silence(lab: VideoLab, spec: VideoSpec, fault: BadNetwork) -> None:
    """The worker's connection is dead, and it has to find that out before it counts as dead itself.

    What it sends until then is lost; the video is made when it has a new connection.
    """
    (scene,) = spec.video_prompts
    video = await lab.set_breakpoint(BreakAt.VIDEO, scene)
    await begin(lab, spec)
    await lab.until_polled(scene)
    dead = {one.connection for one in await lab.stack.links[fault.link].network.connections()}
    async with lab.during(fault):
        await until_connected(lab, fault.link, dead)
        await video.resume()
        await lab.until_ended(spec.workflow_id)


async def ghosts(lab: VideoLab, spec: VideoSpec, fault: BadNetwork) -> None:
    """The worker has a new connection; the server keeps the old one, and the polls that came by it.

    Made only when the server is rid of it: what it gives to such a poll is lost for half a minute.
    """
    (scene,) = spec.video_prompts
    video = await lab.set_breakpoint(BreakAt.VIDEO, scene)
    await begin(lab, spec)
    await lab.until_polled(scene)
    async with lab.during(fault):
        await asyncio.sleep(
            HEARTBEAT_SECONDS + 1
        )  # how long heartbeats have to come by the new one
    await video.resume()


async def until_connected(lab: VideoLab, link: str, dead: Collection[int] = ()) -> None:
    """Wait until the client of a link has a connection with traffic both ways, none of the dead."""
    network = lab.stack.links[link].network

    async def has_traffic() -> bool:
        return any(
            one.connection not in dead and one.upstream.sent_bytes and one.downstream.sent_bytes
            for one in await network.connections()
        )

    await wait_until(
        has_traffic, what=f"{link} is connected", deadline_seconds=lab.step_deadline_seconds
    )


def _awaited(name: str, toxic: AnyToxic, act: Act, times: int = 1) -> Trial:
    """A trial whose link goes bad while the video is awaited; nothing may be repeated."""
    spec = specs.single(name)

    def proofs(link: str) -> Sequence[Invariant]:
        (scene,) = spec.video_prompts
        return (awaited_when_hit(link, toxic.type, spec.workflow_id, scene, times),)

    return Trial(spec, toxic, act, proofs, (nothing_is_in_doubt(spec.workflow_id),))


def _hole(name: str, stream: Stream) -> Trial:
    return _awaited(name, BlackHole(stream=stream), made_in_an_outage)


def slow(name: str, toxic: AnyToxic) -> Trial:
    """A line that is slow all the time, and nothing else."""
    spec = specs.single(name)
    return Trial(
        spec,
        toxic,
        throughout,
        lambda link: (bad_throughout(link, toxic.type, spec.workflow_id),),
        (nothing_is_in_doubt(spec.workflow_id),),
    )


def _given_up() -> Trial:
    """A worker that lives but cannot be heard: its image is made and paid for once all the same."""
    spec = specs.single("server-lost-for-long").model_copy(
        update={"attempts": {"generate_character": 2}}
    )
    hole = BlackHole(stream=Stream.BOTH)
    return Trial(
        spec,
        hole,
        lost_for_long,
        lambda link: (in_flight_when_hit(link, hole.type, Call.IMAGE, spec.character_prompt),),
        (nothing_is_in_doubt(spec.workflow_id),),
    )


LOSSY = specs.single("server-lossy")
PARTED = specs.single("server-parted")
_PACKETS = tuple(link_name(f"worker-{number}", SERVER) for number in (1, 2))


async def packets(lab: VideoLab) -> None:
    """Below TCP, one worker's line loses, damages and reorders packets throughout; the other's lets
    none pass for a while.
    """
    lossy, parted = _PACKETS
    for spec in (LOSSY, PARTED):
        await lab.worker(task_queue=spec.workflow_id, packets=True)
    bad = BadPackets(link=lossy, lose=0.1, corrupt=0.1, reorder=0.1, seed=7)
    none = BadPackets(link=parted, lose=1.0)
    async with lab.watched(LOSSY.workflow_id), lab.watched(PARTED.workflow_id):
        await asyncio.gather(
            throughout(lab, LOSSY, bad), made_in_an_outage(lab, PARTED, none, PARTITION_SECONDS)
        )
        await lab.until_ended(PARTED.workflow_id)


def packets_case(experiment: Callable[[VideoLab], Awaitable[None]]) -> Case:
    """The case whose packets are harmed."""
    return mocked_case(
        name="packets",
        experiment=experiment,
        load=lambda _: (LOSSY, PARTED),
        proofs=tuple(map(packets_were_hit, _PACKETS)),
        invariants=(*COMMON, *(nothing_is_in_doubt(each.workflow_id) for each in (LOSSY, PARTED))),
        topologies=OWN_SERVERS,
        stack=SHARED_SERVER,
        needs=why_no_packets,
        about_seconds=45,
    )


CUT = _awaited("server-cut", Down(), made_in_an_outage)

SCENARIO = Scenario(
    name="network_server",
    title="Network, Worker to Server",
    cases=(
        trials(
            "broken",
            SERVER,
            CUT,
            _awaited(
                "server-reset",
                ResetPeer(stream=Stream.DOWNSTREAM, wait_for_data=False),
                reset_again_and_again,
                times=RESETS,
            ),
        ),
        trials(
            "slow",
            SERVER,
            slow(
                "server-latency",
                Latency(stream=Stream.BOTH, latency_seconds=0.2, jitter_seconds=0.1),
            ),
            slow("server-bandwidth", Bandwidth(stream=Stream.BOTH, bytes_per_second=8_000)),
        ),
        trials(
            "silent",
            SERVER,
            _awaited("server-hole", BlackHole(stream=Stream.BOTH), made_in_an_outage),
            _awaited(
                "server-hole-up",
                BlackHole(stream=Stream.UPSTREAM),
                made_in_an_outage,
            ),
            _awaited(
                "server-hole-down",
                BlackHole(stream=Stream.DOWNSTREAM),
                made_in_an_outage,
            ),
            _given_up(),
        ),
        trials(
            "half_open",
            SERVER,
            _awaited("server-gone", HalfOpen(gone=Side.SERVER), silence),
            _awaited("worker-gone", HalfOpen(gone=Side.CLIENT), ghosts),
        ),
        packets_case(packets),
    ),
)

"""A fleet loses workers: several at once, one in a row, one that hangs, one with the server."""

from __future__ import annotations

import asyncio
import shlex
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from chaos.environment.temporal import SHARED_SERVER, Topology
from chaos.experiment.scenario import Scenario
from chaos.process.waiting import wait_until
from tests.chaos.video import specs
from tests.chaos.video.api_probe import Breakpoint
from tests.chaos.video.case import OWN_SERVERS, mocked_case
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.scenarios.fleet_checks import (
    died_again_and_again,
    hung_until_replaced,
    worker_and_server_were_killed,
    workers_were_killed_at_once,
)
from tests.chaos.video.specs import VideoSpec

OUTAGE_SECONDS = 3.0
DEATHS_IN_A_ROW = 3
"""While one video is awaited: all the attempts that a step has."""

HUNG_SECONDS = 25.0
"""A fleet takes a worker that is silent for 20 s for one that hangs."""

FLEET = "fleet-1"
WORKERS = 3

_HANGABLE = shlex.join((sys.executable, "-m", "chaos.environment.hangable", "workflows.worker"))


def _lost_once(spec: VideoSpec) -> VideoSpec:
    """Its wait for a video is lost with its worker."""
    return spec.model_copy(update={"attempts": {"await_video": 2}})


# Seven waits in nine slots: none of the three workers can be without one.
_MANY = tuple(specs.single(f"fleet-{number}") for number in range(1, 8))
_ALL_LOST = tuple(_lost_once(spec) for spec in _MANY)
_HUNG = _lost_once(specs.single("fleet-hung"))
_WITH_SERVER = _lost_once(specs.single("fleet-and-server"))

# The image in flight is billed although its worker is gone. The wait loses all its three attempts,
# and is scheduled again.
_LOOP = specs.single("fleet-loop")
_LOOP = _LOOP.model_copy(
    update={
        "may_be_charged_twice": (_LOOP.character_prompt,),
        "attempts": {"generate_character": 2, "await_video": 3},
    }
)


def _losing(count: int) -> Callable[[VideoLab], Awaitable[None]]:
    """So many of three workers are killed at once, each with waits in flight."""

    async def experiment(lab: VideoLab) -> None:
        fleet = await lab.supervisor(WORKERS)
        async with lab.watched(_MANY[0].workflow_id):
            videos = await _all_are_awaited(lab, _MANY)
            holders = [await _holder(lab, spec.workflow_id) for spec in _MANY]
            killed = [pid for pid, _ in Counter(holders).most_common(count)]
            for pid in killed:
                fleet.signal(pid, signal.SIGKILL)
            await fleet.until_failed_over(killed)
            # Only now is it known which of them have lost their workers.
            for spec, holder in zip(_MANY, holders, strict=True):
                if holder in killed:
                    lab.specs[lab.specs.index(spec)] = _lost_once(spec)
            await _are_awaited(lab, _MANY)
            lab.healed(fleet.target)
            await asyncio.gather(*(video.resume() for video in videos))
            await lab.converge(lab.step_deadline_seconds)

    return experiment


async def _crash_loop(lab: VideoLab) -> None:
    """The only worker dies while its image is made, and each next one once it awaits the video."""
    prompt = _LOOP.video_prompts[0]
    image = await lab.set_breakpoint(BreakAt.IMAGE)
    video = await lab.set_breakpoint(BreakAt.VIDEO)
    fleet = await lab.supervisor(1)
    await lab.start(_LOOP)
    async with lab.watched(_LOOP.workflow_id):
        await image.reached(lab.step_deadline_seconds)
        (pid,) = fleet.pids
        fleet.signal(pid, signal.SIGKILL)
        await fleet.until_gone([pid])
        await image.resume()
        await video.reached(lab.step_deadline_seconds)
        for _ in range(DEATHS_IN_A_ROW):
            await lab.until_polled(prompt)
            (pid,) = fleet.pids
            fleet.signal(pid, signal.SIGKILL)
            await fleet.until_failed_over([pid])
        lab.note("now it is left alone; the fleet starts the next one after a growing wait")
        await lab.until_polled(prompt)
        lab.healed(fleet.target)
        await video.resume()
        await lab.converge(lab.step_deadline_seconds)


async def _hung_loop(lab: VideoLab) -> None:
    """A worker's event loop stands still while it awaits a video; another stands by."""
    fleet = await lab.supervisor(2, arguments=("--command", _HANGABLE))
    async with lab.watched(_HUNG.workflow_id):
        (video,) = await _all_are_awaited(lab, (_HUNG,))
        pid = await _holder(lab, _HUNG.workflow_id)
        fleet.signal(pid, signal.SIGUSR1)
        lab.note("waiting until the supervisor misses its reports (20 s)")
        await fleet.until_gone([pid])
        lab.healed(fleet.target)
        await fleet.until_failed_over([pid])
        await _are_awaited(lab, (_HUNG,))
        await video.resume()
        await lab.converge(lab.step_deadline_seconds)


async def _worker_and_server(lab: VideoLab) -> None:
    """The worker that awaits a video and the server die at once; another worker stands by."""
    server = lab.stack.server
    fleet = await lab.supervisor(2)
    async with lab.watched(_WITH_SERVER.workflow_id):
        (video,) = await _all_are_awaited(lab, (_WITH_SERVER,))
        pid = await _holder(lab, _WITH_SERVER.workflow_id)

        async def kill_worker() -> None:
            fleet.signal(pid, signal.SIGKILL)

        # The server first, by some microseconds: the fleet has nobody to turn to.
        await asyncio.gather(lab.signal(server.child, signal.SIGKILL), kill_worker())
        await asyncio.sleep(OUTAGE_SECONDS)  # the outage itself
        await server.start()
        lab.healed(server.child.name)
        await _are_awaited(lab, (_WITH_SERVER,))
        await fleet.until_failed_over([pid])
        lab.healed(fleet.target)
        await video.resume()
        await lab.converge(lab.step_deadline_seconds)


async def _all_are_awaited(lab: VideoLab, load: Sequence[VideoSpec]) -> Sequence[Breakpoint]:
    """Start all and wait until each awaits its video, which is held at the provider."""
    videos = [await lab.set_breakpoint(BreakAt.VIDEO, spec.video_prompts[0]) for spec in load]
    await asyncio.gather(*(lab.start(spec) for spec in load))
    await asyncio.gather(*(video.reached(lab.step_deadline_seconds) for video in videos))
    await _are_awaited(lab, load)
    return videos


async def _are_awaited(lab: VideoLab, load: Sequence[VideoSpec]) -> None:
    await asyncio.gather(*(lab.until_polled(spec.video_prompts[0]) for spec in load))


async def _holder(lab: VideoLab, workflow_id: str) -> int:
    """The pid of the worker that has the wait of a workflow in flight, by the server."""
    found: list[int] = []

    async def is_known() -> bool:
        described = await lab.handle(workflow_id).describe()
        found[:] = [
            int(pending.last_worker_identity.partition("@")[0])
            for pending in described.raw_description.pending_activities
            if pending.activity_type.name == "await_video" and pending.last_worker_identity
        ]
        return bool(found)

    await wait_until(
        is_known,
        what=f"a worker has the wait of {workflow_id}",
        deadline_seconds=lab.step_deadline_seconds,
    )
    return found[0]


SCENARIO = Scenario(
    name="fleet",
    title="Fleet Failover",
    cases=(
        mocked_case(
            name="two_of_three",
            experiment=_losing(2),
            load=lambda _: _MANY,
            topologies=OWN_SERVERS,
            proofs=(workers_were_killed_at_once(FLEET, 2),),
            stack=SHARED_SERVER,
        ),
        mocked_case(
            name="all_workers",
            experiment=_losing(WORKERS),
            load=lambda _: _ALL_LOST,
            topologies=OWN_SERVERS,
            proofs=(workers_were_killed_at_once(FLEET, WORKERS),),
            stack=SHARED_SERVER,
        ),
        mocked_case(
            name="crash_loop",
            experiment=_crash_loop,
            load=lambda _: (_LOOP,),
            topologies=OWN_SERVERS,
            proofs=(died_again_and_again(FLEET, _LOOP.workflow_id, DEATHS_IN_A_ROW),),
            stack=SHARED_SERVER,
        ),
        mocked_case(
            name="hung_loop",
            experiment=_hung_loop,
            load=lambda _: (_HUNG,),
            topologies=OWN_SERVERS,
            proofs=(hung_until_replaced(FLEET, HUNG_SECONDS),),
            stack=SHARED_SERVER,
            about_seconds=35,
        ),
        mocked_case(
            name="worker_and_server",
            experiment=_worker_and_server,
            load=lambda _: (_WITH_SERVER,),
            topologies=frozenset({Topology.DEV}),
            proofs=(worker_and_server_were_killed(FLEET, OUTAGE_SECONDS),),
        ),
    ),
)

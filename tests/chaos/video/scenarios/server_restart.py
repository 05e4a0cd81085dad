"""The Temporal server goes down while a video is awaited, and comes back on its database.

A dev server is one process. Of a cluster every process is killed in turn, then all of them at once.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime

from chaos.environment.roles import EVERYTHING, POSTGRES, ROLES
from chaos.environment.temporal import StackSpec, Topology
from chaos.evidence.bills import Mode
from chaos.evidence.journal import Entry, Event
from chaos.experiment.scenario import Case, Scenario
from chaos.invariants import Invariant, proof
from chaos.invariants.proofs.process import killed, were_gone_at_once
from chaos.invariants.survival import workflows_end_as_expected
from tests.chaos.video import specs
from tests.chaos.video.case import mocked_case, video_case
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.invariants.proofs import server_was_down
from tests.chaos.video.invariants.seen import polls_of, video
from tests.chaos.video.lab import VideoLab

OUTAGE_SECONDS = 3.0
LONG_OUTAGE_SECONDS = 20.0
"""What the heartbeat timeout has to outlast."""

_DEV_ONLY = frozenset({Topology.DEV})
_SPEC = specs.single("restart-single")
_VIDEO = _SPEC.video_prompts[0]

KILLS = {**{name: (name,) for name in (*ROLES, POSTGRES)}, EVERYTHING: (*ROLES, POSTGRES)}
"""What is killed, in turn, and its processes."""

_SERIES = specs.series("roles-series", videos=len(KILLS)).model_copy(
    # The video is made while the role is down, and the worker reports it then: Temporal may lose
    # that report, and asks for the wait, which costs nothing, once more after its heartbeats.
    update={"attempts": {"await_video": (1, 2)}}
)


def _experiment(
    number: signal.Signals, outage_seconds: float
) -> Callable[[VideoLab], Awaitable[None]]:
    async def experiment(lab: VideoLab) -> None:
        video = await lab.set_breakpoint(BreakAt.VIDEO)
        server = lab.stack.server
        await lab.worker()
        await lab.start(_SPEC)
        async with lab.watched(_SPEC.workflow_id):
            await video.reached(lab.step_deadline_seconds)
            await lab.until_polled(_VIDEO)
            await lab.signal(server.child, number)
            await asyncio.sleep(outage_seconds)  # the outage itself
            await server.start()
            lab.healed(server.child.name)
            lab.note("the server is back; the worker was left running")
            await video.resume()
            await lab.converge(lab.step_deadline_seconds)

    return experiment


async def _each_role(lab: VideoLab) -> None:
    """For each kill another video of one series is awaited; it is made while the role is down."""
    cluster = lab.stack.cluster
    # All before the first is let go: the workflow may be quicker than a restart.
    videos = [await lab.set_breakpoint(BreakAt.VIDEO, scene) for scene in _SERIES.video_prompts]
    await lab.worker()
    await lab.start(_SERIES)
    async with lab.watched(_SERIES.workflow_id):
        for number, (target, names) in enumerate(KILLS.items()):
            killed = [cluster.processes[name] for name in names]
            await videos[number].reached(lab.step_deadline_seconds)
            await lab.until_polled(_SERIES.video_prompts[number])
            await lab.signal_together(target, killed, signal.SIGKILL)
            await videos[number].resume()
            await cluster.start_again(*names)
            lab.healed(target)
            lab.note(f"{target} is back")
        await lab.converge(lab.step_deadline_seconds)


def _case(
    name: str,
    number: signal.Signals,
    modes: frozenset[Mode] = frozenset({Mode.MOCKED}),
    outage_seconds: float = OUTAGE_SECONDS,
) -> Case:
    return video_case(
        name=name,
        experiment=_experiment(number, outage_seconds),
        load=lambda _: (_SPEC,),
        modes=modes,
        topologies=_DEV_ONLY,
        proofs=(server_was_down(number.name, _SPEC.workflow_id, _VIDEO, outage_seconds),),
        about_seconds=8 + outage_seconds,
    )


def cluster_was_killed(
    target: str, processes: Sequence[str], workflow_id: str, prompt: str
) -> Invariant:
    """All these processes of a cluster died of SIGKILL, were gone at the same time and came back,
    while the workflow had the wait for a video in flight.
    """

    @proof(f"cluster_was_killed[{target}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        fault = evidence.first_entry(Event.FAULT, target=target)
        if fault is None:
            yield f"{target} was not killed"
            return
        kills = [killed(evidence, process, after=fault.at) for process in processes]
        backs = [evidence.first_entry(Event.READY, after=fault.at, target=p) for p in processes]
        for process, kill, back in zip(processes, kills, backs, strict=True):
            if kill is None:
                yield f"{process} was not seen to die of SIGKILL"
            elif back is None or not _was_started_anew(evidence, kill, back):
                yield f"{process} was not seen to come back"
        if not were_gone_at_once(evidence, [kill for kill in kills if kill]):
            yield f"{', '.join(processes)} were not down at the same time"
        moments = [kill.at for kill in kills if kill]
        if moments and not _in_flight(evidence, workflow_id, prompt, min(moments), max(moments)):
            yield f"{workflow_id} was not awaiting {prompt!r} when {target} was killed"

    return judge


def _was_started_anew(evidence: VideoEvidence, kill: Entry, back: Entry) -> bool:
    begun = evidence.first_entry(Event.STARTED, after=kill.at, target=kill.target)
    return begun is not None and begun.pid == back.pid != kill.pid


def _in_flight(
    evidence: VideoEvidence, workflow_id: str, prompt: str, start: datetime, end: datetime
) -> bool:
    """Whether a video was begun and asked about before, and its wait ended after. Who asks has been
    given the wait: its attempt may be lost to the fault, and then the history tells of the next.
    """
    bill = video(evidence, prompt)
    if bill is None or bill.at >= start or not any(p.at < start for p in polls_of(evidence, bill)):
        return False
    spec = next(e for e in evidence.specs if e.workflow_id == workflow_id)
    waits = [a for a in evidence.workflows[workflow_id].activities if a.kind == "await_video"]
    number = spec.video_prompts.index(prompt)
    if len(waits) <= number:
        return False
    wait = waits[number]
    return wait.scheduled_at < start and wait.closed_at is not None and end < wait.closed_at


SCENARIO = Scenario(
    name="server_restart",
    title="Server Restart",
    cases=(
        _case("sigkill", signal.SIGKILL, modes=frozenset(Mode)),
        _case("sigterm", signal.SIGTERM),
        mocked_case(
            name="control_in_memory",
            experiment=_experiment(signal.SIGKILL, OUTAGE_SECONDS),
            load=lambda _: (_SPEC,),
            topologies=_DEV_ONLY,
            stack=StackSpec(persistent=False),
            proofs=(server_was_down("SIGKILL", _SPEC.workflow_id, _VIDEO, OUTAGE_SECONDS),),
            must_fail=workflows_end_as_expected,
        ),
        _case("long_outage", signal.SIGKILL, outage_seconds=LONG_OUTAGE_SECONDS),
        mocked_case(
            name="each_role",
            experiment=_each_role,
            load=lambda _: (_SERIES,),
            topologies=frozenset({Topology.POSTGRES}),
            proofs=tuple(
                cluster_was_killed(target, names, _SERIES.workflow_id, scene)
                for (target, names), scene in zip(KILLS.items(), _SERIES.video_prompts, strict=True)
            ),
        ),
    ),
)

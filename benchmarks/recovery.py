"""How long a killed worker's work stands still, and which part of recovery takes the time.

Each time a worker is killed that awaits a video, whose rendering ends with the kill:

- undisturbed: nobody is killed. Its step is what the others are compared with.
- no heartbeat: the activity's start-to-close timeout ends the attempt, shortened to 60 s here.
- heartbeats only: a worker alone; whoever started it starts another at once.
- fleet, no standby: a fleet of one has failed the attempt over, and starts another process.
- fleet, standby: a fleet of two; the other worker is there.

The kill comes 3 s after the wait has begun: right after a step the server still has timers to
write, which holds a retry back for up to a second. All times are the server's own.
"""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks import plots
from benchmarks.bed import Bed
from benchmarks.figures import Found, Quantity, Row, Table
from benchmarks.other_policy import START_TO_CLOSE_SECONDS
from chaos.environment.supervisor import SupervisorProcess
from chaos.evidence.histories import save_histories
from chaos.evidence.history import Activity
from chaos.evidence.journal import Entry, Event
from chaos.evidence.spec import save_specs
from chaos.invariants.recovery import recoveries
from chaos.process.waiting import wait_until
from tests.chaos.video import specs
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.breakpoints import BreakAt, BreakpointSpec
from tests.chaos.video.fake_api.control import Breakpoint
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.specs import VideoSpec
from tests.chaos.video.target import VIDEO
from workflows.models import SingleVideoInput
from workflows.policies import HEARTBEAT_TIMEOUT, RETRY_POLICY, START_TO_CLOSE_TIMEOUT

NAME = "recovery"
TITLE = "Recovery from a killed worker"
QUESTION = "How long does a step stand still when its worker gets SIGKILL, by what watches over it?"

UNDISTURBED = "undisturbed"
NO_HEARTBEAT = f"no heartbeat ({START_TO_CLOSE_SECONDS:g} s)"
HEARTBEATS = "heartbeats only"
ALONE = "fleet, no standby"
STANDBY = "fleet, standby"

PARTS = ("detect", "reschedule", "restart", "redo")
NEXT_ATTEMPT = "next attempt"
STEP = "step"
RATIO = "÷ undisturbed"

OTHERS = 500
STARTS_AT_ONCE = 2
DEADLINE_SECONDS = 240.0
SETTLING_SECONDS = 3.0
"""Between the start of a wait and the kill."""

_NO_HEARTBEAT_WORKER = (sys.executable, "-m", "benchmarks.other_policy", "no-heartbeat")


@dataclass(frozen=True)
class Plan:
    """How often each is done, `handovers` with and without `OTHERS` more workflows open."""

    kills: int
    handovers: int


THOROUGH = Plan(kills=4, handovers=2)
QUICK = Plan(kills=2, handovers=0)


@dataclass(frozen=True)
class Trial:
    """Seconds of one step: its parts after the kill, and the whole of it."""

    step: float
    detect: float = 0.0
    reschedule: float = 0.0
    restart: float = 0.0
    redo: float = 0.0

    @property
    def next_attempt(self) -> float:
        """From the kill to the start of the next attempt."""
        return self.detect + self.reschedule + self.restart


async def measure(bed: Bed, *, quick: bool) -> Found:
    """All ways to recover, on one server."""
    plan = QUICK if quick else THOROUGH
    async with bed.lab(NAME) as lab:
        trials = {UNDISTURBED: await _undisturbed(lab, plan.kills)}
        without, with_heartbeats = await asyncio.gather(
            _alone(lab, "no-heartbeat", plan.kills, _NO_HEARTBEAT_WORKER),
            _alone(lab, "heartbeats-only", plan.kills, None),
        )
        trials |= {NO_HEARTBEAT: without, HEARTBEATS: with_heartbeats}
        trials[ALONE], _ = await _in_fleet(lab, 1, plan.kills)
        trials[STANDBY], fleet = await _in_fleet(lab, 2, plan.kills)
        handovers = await _handovers(lab, fleet, plan.handovers)
    return found(trials, handovers)


def found(trials: Mapping[str, Sequence[Trial]], handovers: Sequence[Row] = ()) -> Found:
    """The tables of what was measured: how long, and in which parts."""
    struck = {name: measured for name, measured in trials.items() if name != UNDISTURBED}
    undisturbed = _quantity(trials[UNDISTURBED], STEP)
    lengths = [_lengths(name, measured, undisturbed) for name, measured in struck.items()]
    lengths.append(Row(name=UNDISTURBED, cells={STEP: undisturbed}, baseline=True))
    parts = [
        Row(name=name, cells={part: _quantity(measured, part) for part in PARTS})
        for name, measured in struck.items()
    ]
    tables = [
        Table.of("From SIGKILL to the next attempt, and the step in all", lengths),
        Table.of("The parts of each recovery", parts),
    ]
    if handovers:
        tables.append(Table.of("What a failover itself takes", handovers))
    return Found(tables=tuple(tables), notes=_notes())


def _lengths(name: str, trials: Sequence[Trial], undisturbed: Quantity) -> Row:
    step = _quantity(trials, STEP)
    waited = _quantity(trials, "next_attempt")
    return Row(name=name, cells={NEXT_ATTEMPT: waited, STEP: step, RATIO: step.over(undisturbed)})


def _quantity(trials: Sequence[Trial], name: str) -> Quantity:
    return Quantity(values=tuple(round(getattr(trial, name), 4) for trial in trials), unit="s")


def _notes() -> tuple[str, ...]:
    heartbeat = HEARTBEAT_TIMEOUT.total_seconds()
    retry = RETRY_POLICY.initial_interval.total_seconds()
    policy = START_TO_CLOSE_TIMEOUT.total_seconds()
    return (
        (
            f"The heartbeat timeout is {heartbeat:g} s, a retry comes after {retry:g} s; a fleet "
            "asks for an immediate one."
        ),
        (
            f"No heartbeat: start-to-close is {START_TO_CLOSE_SECONDS:g} s here, in place of the "
            f"policy's {policy:g} s, for which nobody could wait. By the policy it would take "
            f"{(policy - START_TO_CLOSE_SECONDS) / 60:g} min more; that is computed, not measured."
        ),
        f"A step is the wait for a video, of which {SETTLING_SECONDS:g} s pass before the kill.",
    )


async def _undisturbed(lab: VideoLab, count: int) -> Sequence[Trial]:
    """The same step, which nobody disturbs."""
    queue = "undisturbed"
    worker = await lab.worker(task_queue=queue)
    trials = []
    for number in range(count):
        asked, hold = await _awaited(lab, f"{queue}-{number}", queue)
        await asyncio.sleep(SETTLING_SECONDS)
        await hold.resume()
        awaited = _await_step(await _ended(lab, asked), asked)
        trials.append(Trial(_step_seconds(awaited)))
    await worker.child.kill()
    return trials


async def _alone(
    lab: VideoLab, name: str, count: int, argv: Sequence[str] | None
) -> Sequence[Trial]:
    """Workers without a fleet, each on a queue of its own; a successor is started at once."""
    starts = asyncio.Semaphore(STARTS_AT_ONCE)

    async def one(number: int) -> Trial:
        queue = f"{name}-{number}"
        async with starts:
            worker = await lab.worker(task_queue=queue, argv=argv)
        asked, hold = await _awaited(lab, queue, queue)
        await asyncio.sleep(SETTLING_SECONDS)
        pid = worker.child.pid
        await lab.signal(worker.child, signal.SIGKILL)
        await hold.resume()
        async with starts:
            successor = await lab.worker(task_queue=queue, argv=argv)
        trial = _trial(await _ended(lab, asked), asked, pid)
        await successor.child.kill()
        return trial

    return await asyncio.gather(*(one(number) for number in range(count)))


async def _in_fleet(
    lab: VideoLab, workers: int, count: int
) -> tuple[Sequence[Trial], SupervisorProcess]:
    """One kill after the other in the same fleet."""
    queue = f"fleet-of-{workers}"
    fleet = await lab.stack.start_supervisor(workers, task_queue=queue)
    return [await _kill_in_fleet(lab, fleet, f"{queue}-{n}") for n in range(count)], fleet


async def _kill_in_fleet(lab: VideoLab, fleet: SupervisorProcess, name: str) -> Trial:
    asked, hold = await _awaited(lab, name, fleet.task_queue)
    await asyncio.sleep(SETTLING_SECONDS)
    described = await lab.client.get_workflow_handle(asked.workflow_id).describe()
    pending = described.raw_description.pending_activities[0]
    pid = int(pending.last_worker_identity.split("@")[0])
    fleet.signal(pid, signal.SIGKILL)
    await hold.resume()
    trial = _trial(await _ended(lab, asked), asked, pid)
    await fleet.until_complete(lab.client)
    return trial


async def _handovers(lab: VideoLab, fleet: SupervisorProcess, kills: int) -> Sequence[Row]:
    """How long a failover takes, without and with many more workflows in the workers' caches."""
    rows = []
    for others in (0, OTHERS) if kills else ():
        await _open_others(lab, fleet.task_queue, others)
        before = len(_failovers(fleet))
        for number in range(kills):
            await _kill_in_fleet(lab, fleet, f"among-{others}-{number}")
        took = Quantity(values=tuple(_failovers(fleet)[before:]), unit="ms")
        rows.append(Row(name=f"{others} more workflows open", cells={"failover": took}))
    return rows


async def _open_others(lab: VideoLab, task_queue: str, count: int) -> None:
    """Workflows that wait in the caches of the workers, paused before their first paid step."""
    asked = SingleVideoInput(character_prompt="nobody", video_prompt="nothing")
    for number in range(count):
        await lab.client.start_workflow(
            "SingleVideo", asked, id=f"other-{number}", task_queue=task_queue, start_signal="pause"
        )


def _failovers(fleet: SupervisorProcess) -> Sequence[float]:
    """Milliseconds of each, as the fleet's log tells them."""
    told = fleet.child.log.read_text()
    return [float(ms) for ms in re.findall(r"failed_over=1 in_ms=(\d+)", told)]


async def _awaited(lab: VideoLab, name: str, task_queue: str) -> tuple[VideoSpec, Breakpoint]:
    """Start a workflow and bring it to where it awaits its video."""
    asked = specs.single(name)
    scene = asked.video_prompts[0]
    request = BreakpointSpec(call=BreakAt.VIDEO, match=scene)
    hold = await lab.api.set_breakpoint(request)
    await lab.start(asked, task_queue=task_queue)
    await hold.reached(DEADLINE_SECONDS)
    await lab.until_polled(scene)
    return asked, hold


async def _ended(lab: VideoLab, asked: VideoSpec) -> VideoEvidence:
    """Wait for its end; the evidence of this workflow alone."""
    await wait_until(
        lambda: lab.has_ended(asked.workflow_id),
        what=f"{asked.workflow_id} ends",
        deadline_seconds=DEADLINE_SECONDS,
        interval_seconds=0.1,
    )
    folder = lab.stack.evidence_folder
    await save_histories(lab.client, folder, [asked.workflow_id])
    await save_specs(folder, [asked], VIDEO.data_converter)
    evidence = VideoEvidence.load(folder, VIDEO.reading)
    return replace(evidence, workflows={asked.workflow_id: evidence.workflows[asked.workflow_id]})


def _await_step(evidence: VideoEvidence, asked: VideoSpec) -> Activity:
    """The step that was struck. Raises RuntimeError where the workflow has not completed."""
    workflow = evidence.workflows[asked.workflow_id]
    if workflow.status != "completed":
        raise RuntimeError(f"{asked.workflow_id} is {workflow.status}, not completed.")
    return next(a for a in workflow.activities if a.kind == "await_video")


def _step_seconds(step: Activity) -> float:
    return (_known(step.closed_at) - step.scheduled_at).total_seconds()


def _known(at: datetime | None) -> datetime:
    if at is None:
        raise RuntimeError("a step of a workflow that has completed was never done.")
    return at


def _trial(evidence: VideoEvidence, asked: VideoSpec, pid: int) -> Trial:
    """What one kill cost. Raises RuntimeError where it did not hit that step, once."""
    step = _await_step(evidence, asked)
    fault = _fault(evidence, pid)
    if step.attempt != 2:
        raise RuntimeError(f"{asked.workflow_id} needed {step.attempt} attempts, not 2.")
    if not step.heartbeat_seconds:
        return without_heartbeat(step, fault.at)
    others = [e for e in evidence.journal if e.event is not Event.FAULT or e == fault]
    took = recoveries(replace(evidence, journal=others))[fault.at]
    return Trial(_step_seconds(step), took.detect, took.reschedule, took.restart, took.redo)


def without_heartbeat(step: Activity, killed_at: datetime) -> Trial:
    """`chaos.invariants.recovery` does not judge this policy: the attempt ends by start-to-close,
    and a first attempt begins as good as when it is scheduled.
    """
    started, closed = _known(step.started_at), _known(step.closed_at)
    waited = (started - killed_at).total_seconds()
    lived = (killed_at - step.scheduled_at).total_seconds()
    reschedule = step.retry_policy.initial_interval.ToTimedelta().total_seconds()
    detect = step.start_to_close_seconds - lived
    return Trial(
        step=_step_seconds(step),
        detect=detect,
        reschedule=reschedule,
        restart=waited - detect - reschedule,
        redo=(closed - started).total_seconds(),
    )


def _fault(evidence: VideoEvidence, pid: int) -> Entry:
    return next(e for e in evidence.journal if e.event is Event.FAULT and e.pid == pid)


def plot(found: Found) -> Figure:
    """How long, on a logarithmic scale for powers of ten lie between; and which part takes it."""
    table, parts = found.tables[:2]
    rows = [row for row in reversed(table.rows) if not row.baseline]
    figure, (times, shares) = plots.styled(10, 3.4, columns=2, width_ratios=(3, 2))
    for place, row in enumerate(rows):
        plots.interval(times, place + 0.15, row.cells[NEXT_ATTEMPT], 0, "kill to next attempt")
        plots.interval(times, place - 0.15, row.cells[STEP], 1, "whole step")
        _share(shares, place, parts.row(row.name))
    undisturbed = table.row(UNDISTURBED).cells[STEP].median
    plots.ideal(times, [undisturbed] * 2, [-0.5, len(rows) - 0.5], "whole step, undisturbed")
    plots.logarithmic(times)
    times.set_xlabel("seconds, logarithmic (dots: each value, bar: median)")
    plots.rows(times, [row.name for row in rows])
    shares.set_xlabel("share of the recovery in % (medians)")
    plots.rows(shares, [""] * len(rows))
    shares.set_xlim(0, 100)
    plots.legend(figure, columns=7)
    return figure


def _share(axes: Axes, place: int, row: Row) -> None:
    middles = [max(0.0, row.cells[part].median) for part in PARTS]
    left = 0.0
    for series, (part, middle) in enumerate(zip(PARTS, middles, strict=True), start=2):
        width = 100 * middle / sum(middles)
        axes.barh(place, width, left=left, height=0.5, color=plots.SERIES[series], label=part)
        left += width

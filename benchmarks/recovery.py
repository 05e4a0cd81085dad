"""How long a killed worker's work stands still.

Each time a worker is killed that awaits a video, whose rendering ends with the kill:

- undisturbed: nobody is killed. Its step is what the others are compared with.
- no heartbeat: the activity's start-to-close timeout ends the attempt, shortened to 60 s here.
- heartbeats only: a worker alone; whatever started it starts another at once.
- supervisor: it has the attempt of its one worker retried at once, and starts another process.
- supervisor, standby: it has two workers; the other one is there.

The kill comes 3 s after the wait has begun: right after a step the server still has timers to
write, which holds a retry back for up to a second. All times are the server's own.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from benchmarks.bed import Bed, awaiting, completed
from benchmarks.figures import Found, Row, Table, seconds
from benchmarks.other_policy import START_TO_CLOSE_SECONDS
from chaos.environment.supervisor import SupervisorProcess
from chaos.evidence.history import Activity
from chaos.evidence.journal import Event, read_journal
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.specs import VideoSpec
from workflows.policies import HEARTBEAT_TIMEOUT, RETRY_POLICY

QUESTION = "A worker gets SIGKILL: how long does its step stand still, by what watches over it?"

UNDISTURBED = "undisturbed"
NO_HEARTBEAT = f"no heartbeat ({START_TO_CLOSE_SECONDS:g} s)"
HEARTBEATS = "heartbeats only"
ALONE, STANDBY = "supervisor", "supervisor, standby"
NEXT_ATTEMPT, STEP, RATIO = "next attempt", "step", "÷ undisturbed"

KILLS, QUICK_KILLS = 4, 2
STARTS_AT_ONCE = 2
SETTLING_SECONDS = 3.0
"""Between the start of a wait and the kill."""

_NO_HEARTBEAT_WORKER = (sys.executable, "-m", "benchmarks.other_policy", "no-heartbeat")
_COLOURS = {NEXT_ATTEMPT: "#3b82f6", STEP: "#f97316"}


@dataclass(frozen=True)
class Trial:
    """Seconds of one step, and of that from the kill to the start of the next attempt."""

    step: float
    next_attempt: float = 0.0


async def measure(bed: Bed, *, quick: bool) -> Found:
    """All ways to recover, on one server."""
    kills = QUICK_KILLS if quick else KILLS
    async with bed.lab("recovery") as lab:
        trials = {UNDISTURBED: await _undisturbed(lab, kills)}
        without, with_heartbeats = await asyncio.gather(
            _alone(lab, "no-heartbeat", kills, _NO_HEARTBEAT_WORKER),
            _alone(lab, "heartbeats-only", kills, None),
        )
        trials |= {NO_HEARTBEAT: without, HEARTBEATS: with_heartbeats}
        trials[ALONE] = await _supervised(lab, 1, kills)
        trials[STANDBY] = await _supervised(lab, 2, kills)
    return found(trials)


def found(trials: Mapping[str, Sequence[Trial]]) -> Found:
    """The table of what was measured."""
    undisturbed = seconds(*(trial.step for trial in trials[UNDISTURBED]))
    rows = [Row(name=UNDISTURBED, cells={STEP: undisturbed})]
    for name, some in trials.items():
        if name != UNDISTURBED:
            step = seconds(*(trial.step for trial in some))
            waited = seconds(*(trial.next_attempt for trial in some))
            cells = {NEXT_ATTEMPT: waited, STEP: step, RATIO: step.over(undisturbed)}
            rows.append(Row(name=name, cells=cells))
    notes = (
        f"The heartbeat timeout is {HEARTBEAT_TIMEOUT.total_seconds():g} s.",
        f"A retry comes after {RETRY_POLICY.initial_interval.total_seconds():g} s, or at once.",
        f"A step is the wait for a video, of which {SETTLING_SECONDS:g} s pass before the kill.",
    )
    title = "From SIGKILL to the next attempt, and the step in all"
    return Found(tables=(Table(title=title, rows=tuple(rows)),), notes=notes)


async def _undisturbed(lab: VideoLab, count: int) -> Sequence[Trial]:
    """The same step, which nobody disturbs."""
    queue = "undisturbed"
    worker = await lab.worker(task_queue=queue)
    trials = []
    for number in range(count):
        spec, at_video = await awaiting(lab, f"{queue}-{number}", queue)
        await asyncio.sleep(SETTLING_SECONDS)
        await at_video.resume()
        step = await _await_step(lab, spec)
        trials.append(Trial((_known(step.closed_at) - step.scheduled_at).total_seconds()))
    await worker.child.kill()
    return trials


async def _alone(
    lab: VideoLab, name: str, count: int, argv: Sequence[str] | None
) -> Sequence[Trial]:
    """Workers without a supervisor, each on a queue of its own; a successor is started at once."""
    starts = asyncio.Semaphore(STARTS_AT_ONCE)

    async def one(number: int) -> Trial:
        queue = f"{name}-{number}"
        async with starts:
            worker = await lab.worker(task_queue=queue, argv=argv)
        spec, at_video = await awaiting(lab, queue, queue)
        await asyncio.sleep(SETTLING_SECONDS)
        pid = worker.child.pid
        await lab.signal(worker.child, signal.SIGKILL)
        await at_video.resume()
        async with starts:
            successor = await lab.worker(task_queue=queue, argv=argv)
        trial = await _trial(lab, spec, pid)
        await successor.child.kill()
        return trial

    return await asyncio.gather(*(one(number) for number in range(count)))


async def _supervised(lab: VideoLab, workers: int, count: int) -> Sequence[Trial]:
    """One kill after the other under the same supervisor."""
    queue = f"supervisor-of-{workers}"
    supervisor = await lab.stack.start_supervisor(workers, task_queue=queue)
    return [await _kill(lab, supervisor, f"{queue}-{n}") for n in range(count)]


async def _kill(lab: VideoLab, supervisor: SupervisorProcess, name: str) -> Trial:
    spec, at_video = await awaiting(lab, name, supervisor.task_queue)
    await asyncio.sleep(SETTLING_SECONDS)
    described = await lab.client.get_workflow_handle(spec.workflow_id).describe()
    pending = described.raw_description.pending_activities[0]
    pid = int(pending.last_worker_identity.split("@")[0])
    supervisor.signal(pid, signal.SIGKILL)
    await at_video.resume()
    trial = await _trial(lab, spec, pid)
    await supervisor.until_complete(lab.client)
    return trial


async def _await_step(lab: VideoLab, spec: VideoSpec) -> Activity:
    """The step in which its worker is killed, once the workflow has completed."""
    (workflow,) = await completed(lab, [spec])
    return next(a for a in workflow.activities if a.kind == "await_video")


async def _trial(lab: VideoLab, spec: VideoSpec, pid: int) -> Trial:
    """What the kill of that process cost."""
    step = await _await_step(lab, spec)
    journal = read_journal(lab.stack.evidence_folder / "journal.jsonl")
    kill = next(e for e in journal if e.event is Event.FAULT and e.pid == pid)
    return trial_of(step, kill.at)


def trial_of(step: Activity, killed_at: datetime) -> Trial:
    """By the server's times. Raises RuntimeError where the kill did not hit that step, once."""
    if step.attempt != 2:
        raise RuntimeError(f"the step needed {step.attempt} attempts, not 2.")
    return Trial(
        step=(_known(step.closed_at) - step.scheduled_at).total_seconds(),
        next_attempt=(_known(step.started_at) - killed_at).total_seconds(),
    )


def _known(at: datetime | None) -> datetime:
    if at is None:
        raise RuntimeError("a step of a workflow that has completed was never done.")
    return at


def plot(found: Found) -> Figure:
    """How long, on a logarithmic scale, for powers of ten lie between."""
    (table,) = found.tables
    rows = [row for row in reversed(table.rows) if row.name != UNDISTURBED]
    figure = Figure(figsize=(8, 2.8), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        for name, shift in ((NEXT_ATTEMPT, 0.15), (STEP, -0.15)):
            quantity, at, colour = row.cells[name], place + shift, _COLOURS[name]
            axes.plot(quantity.values, [at] * len(quantity.values), "o-", color=colour, alpha=0.5)
            label = "" if place else name
            axes.plot(quantity.median, at, "|", color=colour, ms=12, mew=2.5, label=label)
    undisturbed = table.row(UNDISTURBED).cells[STEP].median
    axes.axvline(undisturbed, linestyle="--", color="grey", label="step, undisturbed")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("seconds after SIGKILL, logarithmic (dots: each value, bar: median)")
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.margins(y=0.15)  # else the bars of the first and the last row are cut off
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper left", ncols=3, frameon=False)
    return figure

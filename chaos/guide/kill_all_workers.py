"""Kill all workers when one is about to report an activity that it has done: a repeated one costs
most then. Keep them down until work waits for them, and start them again.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace

from chaos.environment.target import Target
from chaos.environment.temporal import SHARED_SERVER
from chaos.environment.worker import WorkerProcess
from chaos.evidence.bills import Mode
from chaos.evidence.case import Evidence
from chaos.evidence.journal import Event
from chaos.experiment.lab import STEP_DEADLINE_SECONDS, Lab
from chaos.experiment.scenario import Case, Scenario
from chaos.guide.figures import backlog_drains, backlog_grew, figures_of_a_gap
from chaos.guide.gap import gap_of
from chaos.guide.heading import Heading
from chaos.guide.load import (
    held_with_work,
    invariants_of,
    load,
    prepared,
    start_all,
    until_waiting,
)
from chaos.invariants import proof
from chaos.invariants.figures import Figure
from chaos.invariants.proofs.process import died_of_it, were_gone_at_once
from chaos.invariants.recovery.faults import is_worker
from chaos.process.child import ChildError
from chaos.process.waiting import DeadlineExceededError

WORKERS = 3
NOTICED_SECONDS = 30.0
"""How long they stay down at most until the activities that died with them wait to be done again:
that takes a heartbeat timeout and a backoff, or half an hour where there are no heartbeats.
"""


def _scenario(target: Target) -> Scenario:
    async def experiment(lab: Lab) -> None:
        settings = await prepared(lab)
        workers = [await lab.worker(settings=settings) for _ in range(WORKERS)]
        count = lab.options.workflows
        first, later = load(target, count), load(target, count, first=count + 1)
        async with held_with_work(lab, first):
            await kill_together(lab, workers)
        await start_all(lab, later)
        await until_waiting(lab, "workflow", count, lab.step_deadline_seconds)
        try:
            await until_waiting(lab, "activity", 1, NOTICED_SECONDS)
        except DeadlineExceededError as error:
            lab.note(str(error))
        lab.note("all workers start again")
        await asyncio.gather(*(_start_again(lab, worker) for worker in workers))

    case = Case(
        name="only",
        target=target,
        experiment=experiment,
        load=lambda options: load(target, 2 * options.workflows),
        proofs=(all_were_killed, backlog_grew),
        invariants=(*invariants_of(target), backlog_drains),
        figures=figures,
        all_faults_hit=False,
        sampled=True,
        stack=replace(SHARED_SERVER, wire=True),
        modes=frozenset({Mode.MOCKED}),
        about_seconds=60,
    )
    return Scenario(name="", title="", cases=(case,))


async def _start_again(lab: Lab, worker: WorkerProcess) -> None:
    """One that does not come back is what this looks for: its work stays undone, and that fails."""
    try:
        await worker.start(lab.client)
    except (ChildError, DeadlineExceededError) as error:
        lab.note(f"{worker.child.name} did not come back: {error}")


def figures(evidence: Evidence) -> Sequence[Figure]:
    """What the guide says to watch, of the time without workers and what came after it."""
    gap = gap_of(evidence, WORKERS)
    return figures_of_a_gap(evidence, gap) if gap else ()


async def kill_together(lab: Lab, workers: Sequence[WorkerProcess]) -> None:
    """SIGKILL to all of them, a planned fault each; wait until all have ended."""
    children = [worker.child for worker in workers]
    for child in children:
        lab.journal.add(Event.FAULT, kind="kill", target=child.name, pid=child.pid)
    for child in children:
        child.send(signal.SIGKILL)
    for child in children:
        await child.wait(STEP_DEADLINE_SECONDS)


@proof("all_were_killed")
def all_were_killed(evidence: Evidence) -> Iterator[str]:
    """All workers that were ready before died of SIGKILL, and were down at the same time."""
    faults = [entry for entry in evidence.journal if entry.event is Event.FAULT]
    if not faults:
        yield "no worker was killed"
        return
    kills = []
    for ready in evidence.journal:
        if (
            ready.event is not Event.READY
            or ready.at > faults[0].at
            or not is_worker(ready.target or "")
        ):
            continue
        kill = evidence.first_entry(Event.SIGNALED, pid=ready.pid, signal="SIGKILL")
        if kill is None or not died_of_it(evidence, kill):
            yield f"{ready.target} was not seen to die of SIGKILL"
        else:
            kills.append(kill)
    if not were_gone_at_once(evidence, kills):
        yield "the workers were not down at the same time"


HEADING = Heading(
    name="kill_all_workers",
    title="Kill all Workers, then restart them",
    watches="backlog depth, drain time, schedule-to-start latency, replay latency, duplicates",
    make=_scenario,
)

"""Kill all workers at work, keep them down until work waits for them, and start them again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

from chaos.environment.target import Target
from chaos.environment.worker import WorkerProcess
from chaos.evidence.case import Evidence
from chaos.evidence.journal import Event
from chaos.experiment.lab import STEP_DEADLINE_SECONDS, Lab
from chaos.experiment.scenario import Case, Scenario
from chaos.guide.heading import Heading
from chaos.guide.load import load, start_all, until_at_work
from chaos.invariants import proof
from chaos.invariants.proofs.process import died_of_it, were_gone_at_once

WORKERS = 3


def _scenario(target: Target) -> Scenario:
    async def experiment(lab: Lab) -> None:
        conditions = target.drawn
        if conditions.prepare:
            await conditions.prepare(lab)
        workers = [await lab.worker(settings=conditions.settings) for _ in range(WORKERS)]
        count = lab.options.workflows
        first, later = load(target, count), load(target, count, first=count + 1)
        await start_all(lab, first)
        await until_at_work(lab, first)
        await kill_together(lab, workers)
        await start_all(lab, later)
        lab.note("all workers start again")
        await asyncio.gather(*(worker.start(lab.client) for worker in workers))

    case = Case(
        name="only",
        target=target,
        experiment=experiment,
        load=lambda options: load(target, 2 * options.workflows),
        proofs=(all_were_killed,),
        invariants=tuple(target.invariants),
        all_faults_hit=False,
    )
    return Scenario(name="", title="", cases=(case,))


async def kill_together(lab: Lab, workers: list[WorkerProcess]) -> None:
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
    """All workers died of SIGKILL, and were down at the same time."""
    killed = [e for e in evidence.journal if e.event is Event.SIGNALED and e.signal == "SIGKILL"]
    faults = [e for e in evidence.journal if e.event is Event.FAULT]
    kills = [kill for kill in killed if any(fault.pid == kill.pid for fault in faults)]
    if len(faults) < WORKERS:
        yield f"{len(faults)} of {WORKERS} workers got a fault"
    for fault in faults:
        if not any(k.pid == fault.pid and died_of_it(evidence, k) for k in kills):
            yield f"{fault.target} was not seen to die of SIGKILL"
    if kills and not were_gone_at_once(evidence, kills):
        yield "the workers were not down at the same time"


HEADING = Heading(
    name="kill_all_workers",
    title="Kill all Workers, then restart them",
    watches="backlog and drain time",
    make=_scenario,
)

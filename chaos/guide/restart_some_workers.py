"""Kill 20 % of the workers every few seconds while workflows keep coming; each is replaced.

Every other time it is any worker, as in an outage of its machine; in between the first worker that
has done an activity and is about to report it, which is when a repeated one costs most.

What happens when is drawn from a seed and saved as `schedule.json` in the case's folder, so that
`--replay` of that file carries out the very same.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from chaos.environment.target import Target
from chaos.environment.temporal import SHARED_SERVER
from chaos.evidence.bills import Mode
from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.experiment.lab import Lab
from chaos.experiment.scenario import Case, Scenario
from chaos.faults import AtBoundary, Family, KillWorker
from chaos.guide.figures import backlog_drains, depths, drain_time, processors, replays, waits
from chaos.guide.gap import Gap, gap_after
from chaos.guide.heading import Heading
from chaos.guide.load import ACTIVITY_DONE, invariants_of
from chaos.invariants import proof
from chaos.invariants.figures import Figure
from chaos.invariants.recovery import met_work
from chaos.search.carry_out import CONVERGE_DEADLINE_SECONDS, experiment_of
from chaos.search.schedule import FILE, Planned, PlannedStart, Schedule, load_of, read_schedule
from chaos.search.seeded import schedule_was_carried_out
from chaos.wire.boundary import Boundary

SEED = 1
WORKERS = 5
"""20 % of them is one."""
LEFT = WORKERS - 1
"""They can do its work."""
QUIET_SECONDS = 12.0
"""Before the first restart, so that there is something to compare with."""
EVERY_SECONDS = 5.0
RESTARTS = 6
STARTS_PER_WORKFLOW = 5
"""How many workflows come for each that starts at once in the other scenarios."""


def plan(target: Target, workflows: int) -> Schedule:
    """The restarts, and workflows that come evenly until the last of them."""
    dice = random.Random(SEED)  # noqa: S311 - no secret
    last = QUIET_SECONDS + (RESTARTS - 1) * EVERY_SECONDS
    count = workflows * STARTS_PER_WORKFLOW
    name = next(iter(target.specs))
    return Schedule(
        seed=SEED,
        families=(str(Family.KILL), str(Family.WIRE)),
        duration_seconds=last + EVERY_SECONDS,
        workers=WORKERS,
        starts=tuple(
            PlannedStart(
                workflow_id=f"guide-{number + 1}",
                spec=name,
                at_seconds=round(last * number / count, 2),
            )
            for number in range(count)
        ),
        faults=tuple(
            Planned(
                at_seconds=QUIET_SECONDS + number * EVERY_SECONDS,
                lasting_seconds=0,
                fault=AtBoundary(boundary=Boundary.parse(ACTIVITY_DONE), action="kill")
                if number % 2
                else _kill(target, dice.randrange(WORKERS)),
            )
            for number in range(RESTARTS)
        ),
    )


def _kill(target: Target, place: int) -> KillWorker:
    """Of a target's own supervisor, whose workers have no names, the one at this place."""
    return (
        KillWorker(place=place) if target.supervisor else KillWorker(worker=f"worker-{place + 1}")
    )


def _scenario(target: Target) -> Scenario:
    async def experiment(lab: Lab) -> None:
        schedule = plan(target, lab.options.workflows)
        schedule.write(lab.stack.evidence_folder)
        lab.note(f"{RESTARTS} restarts, drawn from the seed {schedule.seed}")
        await experiment_of(schedule)(lab)

    case = Case(
        name="only",
        target=target,
        experiment=experiment,
        load=lambda options: load_of(plan(target, options.workflows), target),
        proofs=(restarts_were_carried_out,),
        invariants=(*invariants_of(target), backlog_drains),
        figures=figures,
        all_faults_hit=False,
        sampled=True,
        stack=replace(SHARED_SERVER, wire=True),
        modes=frozenset({Mode.MOCKED}),
        converge_deadline_seconds=CONVERGE_DEADLINE_SECONDS,
        about_seconds=70,
    )
    return Scenario(name="", title="", cases=(case,))


@proof("restarts_were_carried_out")
def restarts_were_carried_out(evidence: Evidence) -> Iterator[str]:
    """Each restart of the saved schedule was carried out at its time, while workflows were open;
    those that wait for an activity only where workflows have any.
    """
    schedule = read_schedule(evidence.folder / FILE)
    if not any(workflow.activities for workflow in evidence.all_workflows):
        at_any = tuple(each for each in schedule.faults if isinstance(each.fault, KillWorker))
        schedule = schedule.model_copy(update={"faults": at_any})
    yield from schedule_was_carried_out(schedule).judge(evidence)


def figures(evidence: Evidence) -> Sequence[Figure]:
    """What the guide says to watch: completions before and during the restarts, replays, backlog.

    A task never has to wait for a worker to come back, because the others are there.
    """
    kills = [entry for entry in evidence.journal if entry.event is Event.FAULT]
    if not kills:
        return ()
    first, last = kills[0].at, gap_after(evidence, kills[-1], LEFT)
    return (
        *_hits(evidence, kills),
        *_rates(evidence, first, kills[-1].at + timedelta(seconds=EVERY_SECONDS)),
        *depths(evidence),
        *drain_time(evidence, last),
        *waits(evidence, Gap(first, first, LEFT, last.lag_seconds)),
        *replays(evidence),
        *processors(evidence, evidence.journal[0].at, last.end),
    )


def _hits(evidence: Evidence, kills: Sequence[Entry]) -> Iterator[Figure]:
    met = sum(met_work(evidence, kill) for kill in kills)
    yield Figure(name="restarts", value=len(kills), unit="times")
    yield Figure(name="restarts that hit work in flight", value=met, unit="times")


def _rates(evidence: Evidence, first: datetime, last: datetime) -> Iterator[Figure]:
    """Completions a second, before the first restart and from then to after the last."""
    begun = evidence.first_entry(Event.WORKFLOW)
    if begun is None:
        return
    done = {
        "activities": [
            a.closed_at for w in evidence.all_workflows for a in w.activities if a.completed
        ],
        "workflows": [w.closed_at for w in evidence.all_workflows],
    }
    for what, times in done.items():
        for when, start, end in (("before", begun.at, first), ("during", first, last)):
            count = sum(at is not None and start <= at < end for at in times)
            seconds = (end - start).total_seconds()
            if seconds > 0:
                name = f"{what} completed, {when} the restarts"
                yield Figure(name=name, value=round(count / seconds, 3), unit="per s")


HEADING = Heading(
    name="restart_some_workers",
    title="Frequent Worker restart",
    watches="completions before and during, backlog and drain time, schedule-to-start and replay "
    "latency, processors, duplicates",
    make=_scenario,
)

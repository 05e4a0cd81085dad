"""Schedules as a scenario, a case each, and the proof that each was carried out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from chaos.environment.target import Target
from chaos.environment.temporal import StackSpec, Topology
from chaos.evidence.bills import Mode
from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.experiment.lab import Lab
from chaos.experiment.scenario import Case, Scenario
from chaos.faults import AtBoundary, Family
from chaos.invariants import Invariant, proof
from chaos.invariants.recovery.boundaries import why_missed
from chaos.network.journal import read_links
from chaos.search.carry_out import CONVERGE_DEADLINE_SECONDS, experiment_of
from chaos.search.schedule import (
    Planned,
    Schedule,
    load_of,
    require_no_commands,
    schedules_of,
)
from chaos.wire.boundary import Boundary

NAME = "seeded"
AT_ONCE = 2
"""Cases at once: each starts workers all the time."""

EARLY_SECONDS = 1.0

LATE_SECONDS = 15.0
"""A kill waits until there is a worker; a server that is started waits until it answers."""


def seeded(schedules: Sequence[Schedule], target: Target) -> Scenario:
    """A row of the results, without a number. Raises ScheduleError if the target does not know the
    workflows.
    """
    return Scenario(
        name=NAME,
        title="Seeded Schedules",
        cases=tuple(_case(schedule, target) for schedule in schedules),
        cases_at_once=AT_ONCE,
    )


def seeded_of(run: Path, target: Target) -> Scenario:
    """The scenario that a run of a target has carried out, to be carried out again. Raises
    ScheduleError, also where it would execute commands.
    """
    schedules = schedules_of(run)
    require_no_commands(schedules)
    return seeded(schedules, target)


def _case(schedule: Schedule, target: Target) -> Case:
    load = load_of(schedule, target)

    async def experiment(lab: Lab) -> None:
        schedule.write(lab.stack.evidence_folder)
        await experiment_of(schedule)(lab)

    servers = frozenset({Topology.DEV})
    breaks_server = any(planned.fault.family == Family.SERVER for planned in schedule.faults)
    return Case(
        name=schedule.name,
        target=target,
        experiment=experiment,
        load=lambda _: load,
        proofs=(schedule_was_carried_out(schedule),),
        invariants=tuple(target.invariants),
        converge_deadline_seconds=CONVERGE_DEADLINE_SECONDS,
        stack=StackSpec(wire=schedule.is_on_wire),
        modes=frozenset({Mode.MOCKED}),
        topologies=servers if breaks_server else servers | {Topology.POSTGRES},
        seed=schedule.seed,
        about_seconds=schedule.duration_seconds,
    )


def schedule_was_carried_out(schedule: Schedule) -> Invariant:
    """Each fault was injected at its time and healed, and of each family at least one came while a
    workflow was open: between short workflows there are gaps, which chance may hit. Each that waits
    for a call hit one.
    """

    @proof("schedule_was_carried_out")
    def judge(evidence: Evidence) -> Iterator[str]:
        begun = _begin(evidence)
        if begun is None:
            yield "no workflow was started"
            return
        left = [entry for entry in evidence.journal if entry.event is Event.FAULT]
        met: dict[str, bool] = {}
        for planned in schedule.faults:
            if isinstance(planned.fault, AtBoundary):
                since = begun + timedelta(seconds=planned.at_seconds - EARLY_SECONDS)
                yield from _not_hit(evidence, left, planned.fault, since)
                continue
            fault = _take(left, planned, begun)
            what = f"{planned.fault.kind} at {planned.fault.target}, {planned.at_seconds:g} s"
            if fault is None:
                yield f"{what}: it was not injected at its time"
                continue
            healed = evidence.first_entry(Event.HEALED, after=fault.at, target=fault.target)
            if healed is None:
                yield f"{what}: it was not healed"
            else:
                was_open = _one_was_open(evidence, fault.at, healed.at)
                # A pause stands in for no kill; one toxic may stand in for another.
                kind, family = planned.fault.kind, planned.fault.family
                kind = family if family == Family.NETWORK else f"{family} by {kind}"
                met[kind] = met.get(kind, False) or was_open
        for kind in sorted(kind for kind, was_met in met.items() if not was_met):
            yield f"no workflow was open during any fault of the kind {kind}"
        yield from _without_effect(evidence, schedule)

    return judge


def _begin(evidence: Evidence) -> datetime | None:
    first = evidence.first_entry(Event.WORKFLOW)
    return first.at if first else None


def _take(left: list[Entry], planned: Planned, begun: datetime) -> Entry | None:
    """The journal's entry of a planned fault, each used once."""
    for entry in left:
        late = (entry.at - begun).total_seconds() - planned.at_seconds
        same = (entry.kind, entry.target) == (planned.fault.kind, planned.fault.target)
        if same and -EARLY_SECONDS <= late <= LATE_SECONDS:
            left.remove(entry)
            return entry
    return None


def _not_hit(
    evidence: Evidence, left: list[Entry], fault: AtBoundary, since: datetime
) -> Iterator[str]:
    """Why a fault that waits for a call has not hit one. One that had ended with its worker before
    is no problem.
    """
    missed = f"{fault.kind} did not reach {fault.boundary}"
    for entry in [each for each in left if each.at >= since and _is_there(each, fault)]:
        left.remove(entry)
        why = why_missed(evidence, entry)
        if why is None:
            return
        missed = why
    yield missed


def _is_there(entry: Entry, fault: AtBoundary) -> bool:
    if not entry.boundary or entry.kind != fault.kind:
        return False
    return fault.boundary.covers(Boundary.parse(entry.boundary))


def _one_was_open(evidence: Evidence, begin: datetime, end: datetime) -> bool:
    return any(
        workflow.started_at < end and (workflow.closed_at is None or begin < workflow.closed_at)
        for workflow in evidence.workflows.values()
    )


def _without_effect(evidence: Evidence, schedule: Schedule) -> Iterator[str]:
    """A family without any visible effect hit nothing."""
    families = {planned.fault.family for planned in schedule.faults}
    signals = {entry.signal for entry in evidence.journal if entry.event is Event.SIGNALED}
    if Family.KILL in families and not signals & {"SIGKILL", "SIGSTOP"}:
        yield "no worker got a signal"
    if Family.NETWORK in families and not any(
        record.event == "hit" or (record.event == "put_on" and record.connections)
        for records in read_links(evidence.folder).values()
        for record in records
    ):
        yield "no toxic hit a connection"

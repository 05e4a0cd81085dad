"""Schedules as a scenario, a case each, beside those of the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chaos.environment.target import Target
from chaos.environment.temporal import StackSpec, Topology
from chaos.evidence.bills import Mode
from chaos.experiment.lab import Lab
from chaos.experiment.scenario import Case, Scenario
from chaos.faults import Family
from chaos.search.carry_out import CONVERGE_DEADLINE_SECONDS, experiment_of
from chaos.search.checks import schedule_was_carried_out
from chaos.search.load import load_of
from chaos.search.schedule import Schedule, schedules_of

NAME = "seeded"
AT_ONCE = 2
"""Cases at once: each has workers that are started over and over."""


def seeded(schedules: Sequence[Schedule], target: Target) -> Scenario:
    """A row of the results, without a number. Raises ScheduleError where the target does not know
    the workflows.
    """
    return Scenario(
        name=NAME,
        title="Seeded Schedules",
        cases=tuple(_case(schedule, target) for schedule in schedules),
        cases_at_once=AT_ONCE,
    )


def seeded_of(run: Path, target: Target) -> Scenario:
    """The scenario that a run of a target has carried out. Raises ScheduleError."""
    return seeded(schedules_of(run), target)


def _case(schedule: Schedule, target: Target) -> Case:
    load = load_of(schedule, target)

    async def experiment(lab: Lab) -> None:
        schedule.write(lab.stack.evidence_folder)
        await experiment_of(schedule)(lab)

    servers = frozenset({Topology.DEV})
    strikes_server = any(planned.fault.family == Family.SERVER for planned in schedule.faults)
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
        topologies=servers if strikes_server else servers | {Topology.POSTGRES},
        seed=schedule.seed,
        about_seconds=schedule.duration_seconds,
    )

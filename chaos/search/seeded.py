"""Schedules as a scenario, a case each, beside those of the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chaos.environment.temporal import Topology
from chaos.evidence.bills import Mode
from chaos.experiment.lab import Lab
from chaos.experiment.scenario import Case, Scenario
from chaos.faults import Family
from chaos.invariants.secrets import no_secret_is_kept
from chaos.invariants.survival import (
    histories_replay,
    no_workflow_task_fails,
    workflows_end_as_expected,
)
from chaos.process.child import CANARY
from chaos.search.carry_out import CONVERGE_DEADLINE_SECONDS, experiment_of
from chaos.search.checks import restarts_are_explained, schedule_was_carried_out
from chaos.search.load import load_of
from chaos.search.schedule import Schedule, schedules_of
from tests.chaos.video.invariants.files import (
    artifacts_are_their_own,
    artifacts_exist_with_their_hash,
)
from tests.chaos.video.invariants.money import (
    all_expected_is_billed,
    billed_once_or_openly_ambiguous,
    cost_matches_ledger,
    every_bill_is_on_record,
)
from tests.chaos.video.invariants.policy import attempts_within_policy
from tests.chaos.video.invariants.progress import checkpoints_are_complete_and_in_order

NAME = "seeded"
AT_ONCE = 2
"""Cases at once: each has a fleet whose workers are started over and over."""

INVARIANTS = (
    workflows_end_as_expected,
    no_workflow_task_fails,
    histories_replay,
    billed_once_or_openly_ambiguous,
    all_expected_is_billed,
    cost_matches_ledger,
    every_bill_is_on_record,
    checkpoints_are_complete_and_in_order,
    artifacts_exist_with_their_hash,
    artifacts_are_their_own,
    attempts_within_policy,
    restarts_are_explained,
    no_secret_is_kept(CANARY),
)
"""What holds whatever the dice say; what a given fault explains, nobody knows before."""


def seeded(schedules: Sequence[Schedule], number: int = 0) -> Scenario:
    """A row of the results: `number` stands before it in the table."""
    return Scenario(
        number=number,
        name=NAME,
        title="Seeded Schedules",
        cases=tuple(_case(schedule) for schedule in schedules),
        cases_at_once=AT_ONCE,
    )


def seeded_of(run: Path) -> Scenario:
    """The scenario that a run has carried out. Raises ScheduleError."""
    return seeded(schedules_of(run))


def _case(schedule: Schedule) -> Case:
    async def experiment(lab: Lab) -> None:
        schedule.write(lab.stack.evidence_folder)
        await experiment_of(schedule)(lab)

    servers = frozenset({Topology.DEV})
    strikes_server = any(planned.fault.family is Family.SERVER for planned in schedule.faults)
    return Case(
        name=schedule.name,
        experiment=experiment,
        load=lambda _: load_of(schedule),
        proofs=(schedule_was_carried_out(schedule),),
        invariants=INVARIANTS,
        converge_deadline_seconds=CONVERGE_DEADLINE_SECONDS,
        modes=frozenset({Mode.MOCKED}),
        topologies=servers if strikes_server else servers | {Topology.POSTGRES},
        seed=schedule.seed,
    )

"""A scenario as data: a row of the results table, of one or more cases.

A case is an experiment on a stack of its own, the invariants that must hold after it, and the
proofs that its fault hit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chaos.environment.target import Target
from chaos.environment.temporal import StackSpec, Topology
from chaos.evidence.bills import Mode
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.lab import Options
from chaos.invariants import Invariant
from chaos.invariants.attempts import attempts_are_as_expected
from chaos.invariants.exits import no_unplanned_exit
from chaos.invariants.figures import Figures, no_figures
from chaos.invariants.goals import Goal
from chaos.invariants.money import all_expected_is_billed, billed_at_most_expected
from chaos.invariants.recovers import recovers_within_its_bound
from chaos.invariants.secrets import no_secret_is_kept
from chaos.invariants.survival import no_workflow_task_fails, workflows_end_as_expected
from chaos.process.child import CANARY


@dataclass(frozen=True)
class Case:
    """One experiment and how it is judged.

    Attributes:
        name: its name within the scenario, and the name of its evidence folder.
        target: the system under test.
        experiment: an async function that gets the target's kind of `Lab`.
        proofs: show from the evidence that the fault hit. Without one the case cannot pass.
        load: the workflows that it starts, for the plan and the estimate of a live run.
        invariants: what must hold after it, such as `COMMON`.
        stack: the Temporal server that it needs.
        undisturbed: a control that breaks nothing, and so needs no proof.
        must_fail: makes it a negative control. It passes only if this invariant detects the
            planted damage; the other invariants are not examined.
        converge_deadline_seconds: how long its workflows have to end after healing.
        modes: in which it runs: with test doubles, or with real, paid services.
        topologies: on which it runs.
        needs: why this machine cannot run it, such as a missing right to mount a disk, else None.
        seed: of a schedule that was drawn.
        sampled: measures how many tasks wait in its task queues, from the begin of the experiment
            until its workflows have ended: see `Lab.sampled`.
        about_seconds: how long it usually takes. The longest start first.
        all_faults_hit: whether each of its faults must have hit work in flight. False: one is
            enough, such as where all workers are killed at once.
        figures: computes from the evidence what it measured, such as how long a backlog took to
            drain. Each must keep its bound.
        goals: what it may see, made by `sometimes`. If none of a run's cases that name a goal meets
            it, the run is unknown.

    """

    name: str
    target: Target
    experiment: Callable[[Any], Awaitable[None]]
    proofs: Sequence[Invariant]
    load: Callable[[Options], Sequence[WorkflowSpec]]
    invariants: Sequence[Invariant]
    stack: StackSpec = field(default_factory=StackSpec)
    undisturbed: bool = False
    must_fail: Invariant | None = None
    converge_deadline_seconds: float = 120.0
    modes: frozenset[Mode] = frozenset(Mode)
    topologies: frozenset[Topology] = frozenset(Topology)
    needs: Callable[[], str | None] = lambda: None
    seed: int | None = None
    sampled: bool = False
    about_seconds: float = 20.0
    all_faults_hit: bool = True
    figures: Figures = no_figures
    goals: Sequence[Goal] = ()


@dataclass(frozen=True)
class Scenario:
    """A row of the results table.

    Attributes:
        name: its name on the command line.
        title: its name in reports.
        cases: its experiments. It passes if all of them pass.
        cases_at_once: how many of them may run side by side; None: as many as there is room for.

    """

    name: str
    title: str
    cases: Sequence[Case]
    number: int = 0
    cases_at_once: int | None = None


def numbered(scenarios: Iterable[Scenario], after: int = 0) -> Sequence[Scenario]:
    """The scenarios, numbered in order from `after` + 1; one that has a number keeps it."""
    return tuple(
        each if each.number else replace(each, number=place)
        for place, each in enumerate(scenarios, start=after + 1)
    )


def in_mode(scenario: Scenario, mode: Mode) -> Scenario:
    """The scenario with the cases that run in a mode."""
    return replace(scenario, cases=tuple(case for case in scenario.cases if mode in case.modes))


def on_topology(scenario: Scenario, topology: Topology) -> Scenario:
    """The scenario with the cases that run on a topology."""
    kept = tuple(case for case in scenario.cases if topology in case.topologies)
    return replace(scenario, cases=kept)


SURVIVAL = (
    workflows_end_as_expected,
    no_workflow_task_fails,
    billed_at_most_expected,
    all_expected_is_billed,
    no_secret_is_kept(CANARY),
)
"""Invariants of any target under any fault, planned or drawn at random."""

COMMON = (
    *SURVIVAL,
    attempts_are_as_expected,
    recovers_within_its_bound,
    no_unplanned_exit,
)
"""Invariants of every case of any target. Add `replays_with` your workflows, and your own.
"""

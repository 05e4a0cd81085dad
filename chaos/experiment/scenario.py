"""The scenarios as data, one file each; the file's name is the scenario's name.

A scenario is one or more cases. A case is an experiment on a stack of its own, the invariants
that must hold after it, and the proofs that its fault hit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from chaos.environment.temporal import StackSpec, Topology
from chaos.evidence.billing import Mode
from chaos.evidence.case import Expectation
from chaos.experiment.lab import Lab, Options
from chaos.invariants import Invariant
from chaos.invariants.attempts import attempts_are_as_expected
from chaos.invariants.exits import no_unplanned_exit
from chaos.invariants.recovers import recovers_within_its_bound
from chaos.invariants.secrets import no_secret_is_kept
from chaos.invariants.survival import (
    histories_replay,
    no_workflow_task_fails,
    workflows_end_as_expected,
)
from chaos.process.child import CANARY
from tests.chaos.video.invariants.files import (
    artifacts_are_their_own,
    artifacts_exist_with_their_hash,
)
from tests.chaos.video.invariants.money import (
    all_expected_is_billed,
    billed_at_most_expected,
    cost_matches_ledger,
    every_bill_is_on_record,
)
from tests.chaos.video.invariants.policy import attempts_within_policy
from tests.chaos.video.invariants.progress import (
    checkpoints_are_complete_and_in_order,
    progress_never_goes_back,
)

COMMON = (
    workflows_end_as_expected,
    no_workflow_task_fails,
    histories_replay,
    billed_at_most_expected,
    all_expected_is_billed,
    cost_matches_ledger,
    every_bill_is_on_record,
    checkpoints_are_complete_and_in_order,
    progress_never_goes_back,
    artifacts_exist_with_their_hash,
    artifacts_are_their_own,
    attempts_are_as_expected,
    attempts_within_policy,
    recovers_within_its_bound,
    no_unplanned_exit,
    no_secret_is_kept(CANARY),
)
"""What must hold after every case."""


@dataclass(frozen=True)
class Case:
    """One experiment and how to judge it. `load` says which workflows it starts.

    `proofs` show that its fault hit; without one it cannot pass. `undisturbed` declares a control
    that breaks nothing, and needs none. `must_fail` makes it a negative control: it passes only if
    that invariant sees the damage that was done on purpose; the others are not asked. `needs` says
    why this machine cannot do it, such as that nobody may mount a disk here; None where it can.
    `about_seconds` is how long it usually takes: the longest begin first.
    """

    name: str
    experiment: Callable[[Lab], Awaitable[None]]
    proofs: Sequence[Invariant]
    load: Callable[[Options], Sequence[Expectation]]
    invariants: Sequence[Invariant] = COMMON
    stack: StackSpec = field(default_factory=StackSpec)
    undisturbed: bool = False
    must_fail: Invariant | None = None
    converge_deadline_seconds: float = 120.0
    modes: frozenset[Mode] = frozenset(Mode)
    topologies: frozenset[Topology] = frozenset(Topology)
    needs: Callable[[], str | None] = lambda: None
    seed: int | None = None
    about_seconds: float = 20.0


@dataclass(frozen=True)
class Scenario:
    """A row of the results table. `cases_at_once` bounds those that run side by side."""

    number: int
    name: str
    title: str
    cases: Sequence[Case]
    cases_at_once: int | None = None

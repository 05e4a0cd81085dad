"""All that a project of one's own needs to put its workflows to the test, from one place.

    from chaos.kit import Case, WorkflowSpec, Lab, Scenario, StackSpec, System

`examples/orders` is such a project; the README's tutorial goes through it.
"""

from __future__ import annotations

from chaos.environment.proxy import SERVER
from chaos.environment.target import EVIDENCE, PORT, SCRATCH, Service, System
from chaos.environment.temporal import StackSpec, Topology
from chaos.evidence.case import Evidence
from chaos.evidence.history import Status, Workflow
from chaos.evidence.journal import Event
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.lab import Lab, Options
from chaos.experiment.scenario import Case, Scenario
from chaos.faults import (
    BadNetwork,
    KillWorker,
    OutOfMemory,
    PauseWorker,
    ServerDown,
    ServerPaused,
    ServiceDown,
    SleepWorker,
)
from chaos.invariants import Invariant, Late, invariant, proof
from chaos.invariants.attempts import attempts_are_as_expected
from chaos.invariants.exits import no_unplanned_exit
from chaos.invariants.proofs import (
    died_of,
    killed_while_open,
    network_was_hit,
    ran_out_of_memory,
    was_down,
    was_paused,
)
from chaos.invariants.recovers import recovers_within_its_bound
from chaos.invariants.survival import (
    no_workflow_task_fails,
    replays_with,
    workflows_end_as_expected,
)
from chaos.network.toxics import (
    Bandwidth,
    BlackHole,
    Down,
    HalfOpen,
    Latency,
    LimitData,
    ResetPeer,
    Slicer,
    Stream,
    Timeout,
)
from chaos.process.waiting import wait_until

COMMON = (
    workflows_end_as_expected,
    no_workflow_task_fails,
    attempts_are_as_expected,
    recovers_within_its_bound,
    no_unplanned_exit,
)
"""What must hold after every case of any system. Add `replays_with` your workflows, and what yours
must never do.
"""

__all__ = [
    "COMMON",
    "EVIDENCE",
    "PORT",
    "SCRATCH",
    "SERVER",
    "BadNetwork",
    "Bandwidth",
    "BlackHole",
    "Case",
    "Down",
    "Event",
    "Evidence",
    "HalfOpen",
    "Invariant",
    "KillWorker",
    "Lab",
    "Late",
    "Latency",
    "LimitData",
    "Options",
    "OutOfMemory",
    "PauseWorker",
    "ResetPeer",
    "Scenario",
    "ServerDown",
    "ServerPaused",
    "Service",
    "ServiceDown",
    "SleepWorker",
    "Slicer",
    "StackSpec",
    "Status",
    "Stream",
    "System",
    "Timeout",
    "Topology",
    "Workflow",
    "WorkflowSpec",
    "died_of",
    "invariant",
    "killed_while_open",
    "network_was_hit",
    "proof",
    "ran_out_of_memory",
    "replays_with",
    "wait_until",
    "was_down",
    "was_paused",
]

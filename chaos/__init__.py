"""A fault-tolerance harness for any Temporal workers: all that a project needs, from one place.

    from chaos import Case, Lab, Scenario, Target, WorkflowSpec

`examples/orders` is such a project; `docs/tutorial.md` goes through it. Each name is imported when
it is first used, so that to import this costs nothing.

PYTEST_DONT_REWRITE: nothing here rests on an assert, and `python -m chaos run` imports it before.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chaos.environment.readiness import LogLine as LogLine
    from chaos.environment.readiness import OpenPort as OpenPort
    from chaos.environment.readiness import Polls as Polls
    from chaos.environment.target import EVIDENCE as EVIDENCE
    from chaos.environment.target import PORT as PORT
    from chaos.environment.target import SCRATCH as SCRATCH
    from chaos.environment.target import SECRET as SECRET
    from chaos.environment.target import Conditions as Conditions
    from chaos.environment.target import Live as Live
    from chaos.environment.target import Placement as Placement
    from chaos.environment.target import Service as Service
    from chaos.environment.target import Target as Target
    from chaos.environment.temporal import StackSpec as StackSpec
    from chaos.environment.temporal import Topology as Topology
    from chaos.environment.wire import SERVER as SERVER
    from chaos.environment.worker import WorkerKind as WorkerKind
    from chaos.environment.worker import WorkerProcess as WorkerProcess
    from chaos.evidence.bills import Bill as Bill
    from chaos.evidence.bills import Billing as Billing
    from chaos.evidence.bills import Charge as Charge
    from chaos.evidence.bills import Mode as Mode
    from chaos.evidence.bills import PaidRequest as PaidRequest
    from chaos.evidence.bills import Refusal as Refusal
    from chaos.evidence.case import Evidence as Evidence
    from chaos.evidence.case import Timings as Timings
    from chaos.evidence.history import Status as Status
    from chaos.evidence.history import Workflow as Workflow
    from chaos.evidence.journal import Event as Event
    from chaos.evidence.spec import WorkflowSpec as WorkflowSpec
    from chaos.experiment.lab import Lab as Lab
    from chaos.experiment.lab import Options as Options
    from chaos.experiment.scenario import COMMON as COMMON
    from chaos.experiment.scenario import SURVIVAL as SURVIVAL
    from chaos.experiment.scenario import Case as Case
    from chaos.experiment.scenario import Scenario as Scenario
    from chaos.faults import AtBoundary as AtBoundary
    from chaos.faults import BadNetwork as BadNetwork
    from chaos.faults import Fault as Fault
    from chaos.faults import KillWorker as KillWorker
    from chaos.faults import OutOfMemory as OutOfMemory
    from chaos.faults import PauseWorker as PauseWorker
    from chaos.faults import ServerDown as ServerDown
    from chaos.faults import ServerPaused as ServerPaused
    from chaos.faults import ServiceDown as ServiceDown
    from chaos.invariants import Invariant as Invariant
    from chaos.invariants import Late as Late
    from chaos.invariants import invariant as invariant
    from chaos.invariants import proof as proof
    from chaos.invariants import safety as safety
    from chaos.invariants.proofs import died_of as died_of
    from chaos.invariants.proofs import hit_at as hit_at
    from chaos.invariants.proofs import killed_while_open as killed_while_open
    from chaos.invariants.proofs import network_was_hit as network_was_hit
    from chaos.invariants.proofs import ran_out_of_memory as ran_out_of_memory
    from chaos.invariants.proofs import was_down as was_down
    from chaos.invariants.proofs import was_paused as was_paused
    from chaos.invariants.survival import replays_with as replays_with
    from chaos.network.toxics import Bandwidth as Bandwidth
    from chaos.network.toxics import BlackHole as BlackHole
    from chaos.network.toxics import Down as Down
    from chaos.network.toxics import HalfOpen as HalfOpen
    from chaos.network.toxics import Latency as Latency
    from chaos.network.toxics import LimitData as LimitData
    from chaos.network.toxics import ResetPeer as ResetPeer
    from chaos.network.toxics import Stream as Stream
    from chaos.plugin.probe import ProbeFailed as ProbeFailed
    from chaos.plugin.probe import probe as probe
    from chaos.process.waiting import wait_until as wait_until
    from chaos.wire.boundary import Boundary as Boundary
    from chaos.wire.boundary import Kind as Kind
    from chaos.wire.boundary import Stage as Stage

_PLACES = {
    "chaos.environment.wire": ("SERVER",),
    "chaos.environment.readiness": ("LogLine", "OpenPort", "Polls"),
    "chaos.environment.target": (
        "EVIDENCE",
        "PORT",
        "SCRATCH",
        "SECRET",
        "Conditions",
        "Live",
        "Placement",
        "Service",
        "Target",
    ),
    "chaos.environment.temporal": ("StackSpec", "Topology"),
    "chaos.environment.worker": ("WorkerKind", "WorkerProcess"),
    "chaos.evidence.bills": ("Bill", "Billing", "Charge", "Mode", "PaidRequest", "Refusal"),
    "chaos.evidence.case": ("Evidence", "Timings"),
    "chaos.evidence.history": ("Status", "Workflow"),
    "chaos.evidence.journal": ("Event",),
    "chaos.evidence.spec": ("WorkflowSpec",),
    "chaos.experiment.lab": ("Lab", "Options"),
    "chaos.experiment.scenario": ("COMMON", "SURVIVAL", "Case", "Scenario"),
    "chaos.faults": (
        "AtBoundary",
        "BadNetwork",
        "Fault",
        "KillWorker",
        "OutOfMemory",
        "PauseWorker",
        "ServerDown",
        "ServerPaused",
        "ServiceDown",
    ),
    "chaos.invariants": ("Invariant", "Late", "invariant", "proof", "safety"),
    "chaos.invariants.proofs": (
        "died_of",
        "hit_at",
        "killed_while_open",
        "network_was_hit",
        "ran_out_of_memory",
        "was_down",
        "was_paused",
    ),
    "chaos.invariants.survival": ("replays_with",),
    "chaos.network.toxics": (
        "Bandwidth",
        "BlackHole",
        "Down",
        "HalfOpen",
        "Latency",
        "LimitData",
        "ResetPeer",
        "Stream",
    ),
    "chaos.plugin.probe": ("ProbeFailed", "probe"),
    "chaos.process.waiting": ("wait_until",),
    "chaos.wire.boundary": ("Boundary", "Kind", "Stage"),
}
_PLACE_OF = {name: module for module, names in _PLACES.items() for name in names}

__all__ = list(_PLACE_OF)


def __getattr__(name: str) -> Any:
    if name not in _PLACE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACE_OF])

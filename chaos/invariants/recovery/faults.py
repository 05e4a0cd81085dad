"""What a fault strikes, and how long it lasts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import Enum

from chaos.environment.roles import CLUSTER_TARGETS
from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event

DEV_SERVER = "temporal-server"

_SLOWING = frozenset({"latency", "bandwidth", "slicer", "slow_close"})
"""Faults of the network under which everything goes on."""

_SILENCING = frozenset({"black_hole", "half_open", "timeout", "silence"})
"""Faults of the network, and of a call on the wire, that no end of a connection tells of."""

_STRIKING_WORKERS = frozenset({"kill", "terminate", "pause", "hang", "out_of_memory", "crash_loop"})


class Struck(Enum):
    """What a fault strikes. `OTHER` is all that only an activity's own work can feel."""

    WORKER = "worker"
    SERVER = "server"
    OTHER = "other"


def struck(fault: Entry) -> Struck:
    """Whom a fault concerns, by its target; a link is as good as what it leads to."""
    target = fault.target or ""
    if target == DEV_SERVER or target in CLUSTER_TARGETS or target.endswith(">server"):
        return Struck.SERVER
    if is_worker(target) and fault.kind in _STRIKING_WORKERS:
        return Struck.WORKER
    return Struck.OTHER


def is_worker(target: str) -> bool:
    """Whether a process takes tasks: a worker, a fleet of them, or one of a fleet's."""
    return target.startswith(("worker-", "fleet-")) and ">" not in target


def is_of_a_fleet(target: str) -> bool:
    """Whether a process is one of a fleet's workers, which share a name."""
    return target.startswith("fleet-") and target.endswith("-worker")


def leaves_it_alive(fault: Entry) -> bool:
    """Whether a struck worker is still there, and does nothing."""
    return fault.kind in {"pause", "hang"}


def faults(evidence: Evidence, *kinds: Struck) -> Iterator[Entry]:
    """All planned faults that strike one of these."""
    return (e for e in evidence.journal if e.event is Event.FAULT and struck(e) in kinds)


def is_outage(fault: Entry) -> bool:
    """Whether nothing passes between some worker and the server while it lasts."""
    return struck(fault) is Struck.SERVER and fault.kind not in _SLOWING


def is_silent(fault: Entry) -> bool:
    """Whether its victims have to find out by themselves that a connection is dead."""
    return ">" in (fault.target or "") and fault.kind in _SILENCING


def ended_at(evidence: Evidence, fault: Entry) -> datetime | None:
    """When a fault was over; None where that was not seen.

    A server that was killed is back when it answers again, which may come before the harness says
    so of its whole cluster, or never does.
    """
    events = [Event.HEALED]
    if fault.target == DEV_SERVER and fault.kind != "pause":
        events = [Event.READY, Event.HEALED]
    for event in events:
        if entry := evidence.first_entry(event, after=fault.at, target=fault.target):
            return entry.at
    return None


def is_over_by(evidence: Evidence, fault: Entry) -> datetime:
    """As `ended_at`; one that was never healed lasts until the end."""
    return ended_at(evidence, fault) or last_moment(evidence)


def last_moment(evidence: Evidence) -> datetime:
    """The journal's end."""
    return max(entry.at for entry in evidence.journal)

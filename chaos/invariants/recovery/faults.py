"""What a fault hits, and how long it lasts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import Enum

from temporalio.client import WorkflowHistory

from chaos.environment.roles import CLUSTER_TARGETS
from chaos.evidence.case import Evidence
from chaos.evidence.history import Workflow
from chaos.evidence.journal import Entry, Event
from chaos.network.packets import PACKETS, PARTITION

DEV_SERVER = "temporal-server"

_SLOWING = frozenset({"latency", "bandwidth", "slicer", "slow_close", "rate_limit", PACKETS})
"""Faults of the network, and limits, under which everything continues."""
COMMAND = "command"
"""The kind of a fault that is a command of the user's."""

COMMAND_ENDED, COMMAND_PROOF = "command_ended", "command_proof"
"""The kinds of the journal's entries that such a command has ended, and that its proof has."""


_SILENCING = frozenset({"black_hole", "half_open", "timeout", "silence", PARTITION})
"""Faults of the network, and of a call on the wire, that do not end a connection."""

_OF_WORKERS = frozenset({"kill", "terminate", "pause", "hang", "out_of_memory", "crash_loop"})


Queues = Mapping[str, frozenset[str]]
"""The task queues in which each process was seen at work, for those that were seen."""


class Component(Enum):
    """What a fault hits. `OTHER` is anything that only activities use."""

    WORKER = "worker"
    SERVER = "server"
    OTHER = "other"


def component_of(fault: Entry) -> Component:
    """What a fault hits, by its target; a link counts as what it leads to. A command may hit
    anything: it counts as a worker's where it names workers.
    """
    if fault.kind == COMMAND:
        return Component.WORKER if fault.identities else Component.OTHER
    target = fault.target or ""
    if target == DEV_SERVER or target in CLUSTER_TARGETS or target.endswith(">server"):
        return Component.SERVER
    if is_worker(target) and fault.kind in _OF_WORKERS:
        return Component.WORKER
    return Component.OTHER


def is_worker(target: str) -> bool:
    """Whether a process takes tasks: a worker, a fleet of them, or one of a fleet's."""
    return target.startswith(("worker-", "fleet-")) and ">" not in target


def is_of_a_fleet(target: str) -> bool:
    """Whether a process is one of a fleet's workers, which share a name."""
    return target.startswith("fleet-") and target.endswith("-worker")


def leaves_it_alive(fault: Entry) -> bool:
    """Whether a worker that was hit still exists, and does nothing."""
    return fault.kind in {"pause", "hang"}


def faults(evidence: Evidence, *kinds: Component) -> Iterator[Entry]:
    """All planned faults that hit one of these."""
    return (e for e in evidence.journal if e.event is Event.FAULT and component_of(e) in kinds)


def is_outage(fault: Entry) -> bool:
    """Whether nothing passes between some worker and the server while it lasts."""
    return component_of(fault) is Component.SERVER and fault.kind not in _SLOWING


def is_silent(fault: Entry) -> bool:
    """Whether its victims must detect by themselves that a connection is dead."""
    return ">" in (fault.target or "") and fault.kind in _SILENCING


def ended_at(evidence: Evidence, fault: Entry) -> datetime | None:
    """When a fault was over; None if that was not seen. A killed server is back when it answers
    again, which may be before the harness records it for the whole cluster, or without that.
    """
    events = [Event.HEALED]
    if fault.target == DEV_SERVER and fault.kind != "pause":
        events = [Event.READY, Event.HEALED]
    for event in events:
        if entry := evidence.first_entry(event, after=fault.at, target=fault.target):
            return entry.at
    return None


def is_over_by(evidence: Evidence, fault: Entry) -> datetime:
    """As `ended_at`; a fault that was never healed lasts until the end."""
    return ended_at(evidence, fault) or last_moment(evidence)


def last_moment(evidence: Evidence) -> datetime:
    """The journal's end."""
    return max(entry.at for entry in evidence.journal)


def struck_at(evidence: Evidence, command: Entry) -> datetime:
    """By when a command had its effect: when its proof succeeded, or else when it had ended."""
    found = [
        entry.at
        for entry in evidence.journal
        if entry.kind in {COMMAND_ENDED, COMMAND_PROOF}
        and entry.target == command.target
        and command.at <= entry.at <= is_over_by(evidence, command)
    ]
    proofs = [
        entry.at for entry in evidence.journal if entry.kind == COMMAND_PROOF and entry.at in found
    ]
    return min(proofs or found, default=command.at)


def identities(evidence: Evidence) -> frozenset[str]:
    """Under which workers took tasks, by the histories."""
    runs = [run for workflow in evidence.all_workflows for run in workflow.runs]
    return frozenset().union(*map(_identities, runs))


def queues(evidence: Evidence) -> Queues:
    """Where the histories have each process of the journal."""
    seen: dict[str, set[str]] = {}
    for workflow in evidence.all_workflows:
        for run in workflow.runs:
            for identity in _identities(run):
                seen.setdefault(identity, set()).add(_queue(run))
    found: dict[str, frozenset[str]] = {}
    for entry in evidence.journal:
        if entry.event is Event.READY and entry.target:
            served = {q for each, known in seen.items() if _is_of(each, entry) for q in known}
            if served:
                found[entry.target] = found.get(entry.target, frozenset()) | served
    return found


def _is_of(identity: str, ready: Entry) -> bool:
    """Whether a process polls so: as the journal has it, else by the SDK's own, pid@host."""
    return identity in ready.identities or identity.partition("@")[0] == str(ready.pid)


def may_serve(found: Queues, process: str, workflow: Workflow) -> bool:
    """Whether a process may take a workflow's tasks: unless it was seen at work elsewhere only."""
    known = found.get(process)
    return not known or _queue(workflow.runs[-1]) in known


def may_concern(found: Queues, fault: Entry, workflow: Workflow) -> bool:
    """Whether a workflow can have felt a fault of a worker or of a worker's link."""
    return may_serve(found, (fault.target or "").partition(">")[0], workflow)


def _queue(run: WorkflowHistory) -> str:
    return str(run.events[0].workflow_execution_started_event_attributes.task_queue.name)


def _identities(run: WorkflowHistory) -> set[str]:
    identities = {event.workflow_task_started_event_attributes.identity for event in run.events}
    identities |= {event.activity_task_started_event_attributes.identity for event in run.events}
    return identities - {""}

"""Which worker takes the tasks of which workflow, by the histories."""

from __future__ import annotations

from collections.abc import Mapping

from temporalio.client import WorkflowHistory

from chaos.evidence.case import Evidence
from chaos.evidence.history import Workflow
from chaos.evidence.journal import Entry, Event

Queues = Mapping[str, frozenset[str]]
"""The task queues in which each process was seen at work; one that nobody saw is not there."""


def queues(evidence: Evidence) -> Queues:
    """Where the history met each process of the journal."""
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

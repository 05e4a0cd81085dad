"""Problems that need not be the system's own: a machine that is too busy makes them as well."""

from __future__ import annotations

from chaos.evidence import Evidence
from chaos.history import Activity, Status, Workflow
from chaos.invariants import Late, Lost
from chaos.recovery import has_a_cause, went_silent


def of_unfinished(workflow: Workflow, problem: str) -> str:
    """What a workflow lacks that has not ended may only be late."""
    return Late(problem) if workflow.status is Status.RUNNING else problem


def of_repeated(evidence: Evidence, workflow: Workflow, activity: Activity, problem: str) -> str:
    """An attempt too many, after one that went silent, was lost on its way to a worker or on a
    worker that starved: with no fault to explain it nobody knows where, with one it may be late.
    """
    if not went_silent(activity):
        return problem
    return Late(problem) if has_a_cause(evidence, workflow, activity) else Lost(problem)

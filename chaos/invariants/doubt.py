"""Problems that need not be the system's own: a machine that is too busy makes them as well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chaos.evidence.case import Evidence
from chaos.evidence.history import Activity, Status, Workflow
from chaos.invariants import Late, Lost
from chaos.invariants.delivery import Fate, fate_of
from chaos.invariants.recovery import has_a_cause, went_silent


@dataclass(frozen=True)
class Tolerance:
    """How much sooner or later than planned something may come."""

    early_seconds: float
    late_seconds: float


def unless_about(
    seconds: float, wanted: float, tolerance: Tolerance, problem: str
) -> Iterator[str]:
    """The problem of what came too soon or too late: no machine is so busy that it makes anything
    come sooner.
    """
    if seconds < wanted - tolerance.early_seconds:
        yield problem
    elif seconds > wanted + tolerance.late_seconds:
        yield Late(problem)


def of_unfinished(workflow: Workflow | None, problem: str) -> str:
    """What a workflow lacks that has not ended may only be late; one that is lost is not."""
    return Late(problem) if workflow and workflow.status is Status.RUNNING else problem


def of_repeated(evidence: Evidence, workflow: Workflow, activity: Activity, problem: str) -> str:
    """An attempt too many, after one that went silent, was lost on its way to a worker or on a
    worker that starved: with no fault to explain it nobody knows where, unless the wire saw it;
    with one it may be late.
    """
    if not went_silent(activity):
        return problem
    if has_a_cause(evidence, workflow, activity):
        return Late(problem)
    fate = fate_of(evidence, workflow, activity)
    if fate is None:
        return Lost(problem)
    told = f"{problem}; attempt {activity.attempt - 1}: {fate.value}"
    # What the worker had is the worker's to answer for, as far as it was given time.
    return Late(told) if fate is Fate.UNREPORTED else Lost(told)

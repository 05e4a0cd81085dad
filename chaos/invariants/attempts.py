"""How often activities were tried."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.evidence.case import Evidence
from chaos.evidence.history import Activity
from chaos.invariants import invariant
from chaos.invariants.doubt import of_repeated, of_unfinished


@invariant
def attempts_are_as_expected(evidence: Evidence) -> Iterator[str]:
    """No activity needs more attempts than its faults explain, and those it does need are made."""
    for expected, workflow in evidence.specified_workflows():
        last: dict[str, Activity] = {}
        for activity in workflow.activities:
            if activity.kind not in last or activity.attempt > last[activity.kind].attempt:
                last[activity.kind] = activity
        for kind, activity in last.items():
            attempts, (fewest, most) = activity.attempt, expected.attempts_of(kind)
            wanted = str(most) if fewest == most else f"{fewest} to {most}"
            problem = f"{expected.workflow_id}: {kind} took {attempts} attempt(s), not {wanted}"
            if attempts > most:
                yield of_repeated(evidence, workflow, activity, problem)
            elif attempts < fewest:
                yield of_unfinished(workflow, problem)

"""How many attempts activities took."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chaos.evidence.case import Evidence
from chaos.evidence.history import Activity, Status, Workflow
from chaos.evidence.spec import WorkflowSpec
from chaos.invariants import Late, Unmeasured, invariant
from chaos.invariants.doubt import of_repeated, of_unfinished
from chaos.invariants.hanging import attempt_told


@dataclass(frozen=True)
class _Tried:
    """An activity, and the workflow that it belongs to."""

    workflow: Workflow
    activity: Activity

    @property
    def attempts(self) -> int:
        """Its known attempts: the history shows none of an open activity."""
        pending = self.activity.pending
        return pending.attempt if pending else self.activity.attempt

    @property
    def is_open(self) -> bool:
        """Whether its workflow may still get its result."""
        return self.activity.closed_at is None and self.activity.left_at is None

    @property
    def is_unknown(self) -> bool:
        """Whether its attempts are unknown."""
        return self.activity.closed_at is None and self.activity.pending is None


@invariant
def attempts_are_as_expected(evidence: Evidence) -> Iterator[str]:
    """No activity takes more attempts than its faults explain, and the needed ones are made. The
    activities of a workflow's children count as its own, because the children have no specs, and so
    do those of all its runs.

    One that its workflow did not wait for has no attempt on record: `attempts={"name": (0, 1)}`
    excuses that.
    """
    for expected, workflow in evidence.specified_workflows():
        most: dict[str, _Tried] = {}
        for each in (workflow, *evidence.descendants(workflow)):
            for tried in (_Tried(each, activity) for activity in each.activities):
                kind = tried.activity.kind
                if kind not in most or tried.attempts > most[kind].attempts:
                    most[kind] = tried
        for tried in most.values():
            if not _is_left_running(workflow, tried):
                yield from _judged(evidence, expected, tried)


def _is_left_running(root: Workflow, tried: _Tried) -> bool:
    """Whether it runs in a child that outlives the expected workflow: that is not judged."""
    has_ended = root.status is not Status.RUNNING
    return tried.is_open and tried.workflow is not root and has_ended


def _judged(evidence: Evidence, expected: WorkflowSpec, tried: _Tried) -> Iterator[str]:
    workflow, activity, attempts = tried.workflow, tried.activity, tried.attempts
    fewest, most = expected.attempts_of(activity.kind)
    owner = workflow.workflow_id
    name = activity.kind if owner == expected.workflow_id else f"{activity.kind} of {owner}"
    problem = f"{expected.workflow_id}: {name} {_told(tried)}"
    wanted = f"{problem}, not {most if fewest == most else f'{fewest} to {most}'}"
    should_run = expected.status is Status.RUNNING
    if attempts > most:
        pending = activity.pending
        may_be_late = pending is not None and pending.has_timed_out
        yield Late(wanted) if may_be_late else of_repeated(evidence, workflow, activity, wanted)
    elif tried.is_unknown and should_run and fewest:
        yield Unmeasured(f"{problem}, and its attempts are not on record")
    elif attempts < fewest:
        yield of_unfinished(workflow, problem if tried.is_unknown else wanted, evidence)
    elif tried.is_open and not should_run:
        yield of_unfinished(workflow, problem, evidence)


def _told(tried: _Tried) -> str:
    activity, pending = tried.activity, tried.workflow.pending
    if activity.left_at:
        return "was not closed when its workflow ended"
    if activity.pending and pending:
        return f"is not closed: {attempt_told(activity.pending, pending.at)}"
    if activity.closed_at is None:
        return "is not closed"
    return f"took {activity.attempt} attempt(s)" if activity.attempt else "was never started"

"""No more is tried than the retry policy, and the workflow's own bound beside it, allow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from temporalio.client import WorkflowHistory

from chaos.invariants import Invariant, invariant
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.invariants.tries import Try, tries
from workflows.models import OUTAGES, UNDECIDED
from workflows.policies import FIRST_PAUSE, MAX_WORKER_LOSSES


@invariant
def attempts_within_policy(evidence: VideoEvidence) -> Iterator[str]:
    """No attempt is above the recorded maximum, none follows a permanent failure, and no step is
    scheduled again more often than the loss of workers may cause.
    """
    for workflow in evidence.workflows.values():
        for run in workflow.runs:
            for step in _steps(run):
                for problem in _problems(step):
                    yield f"{workflow.workflow_id}: {step[0].kind} {problem}"


def _steps(run: WorkflowHistory) -> Sequence[Sequence[Try]]:
    """What a run tried, by kind and input."""
    found: dict[tuple[str, bytes], list[Try]] = {}
    for one in tries(run):
        found.setdefault((one.kind, one.order), []).append(one)
    return tuple(found.values())


def _problems(step: Sequence[Try]) -> Iterator[str]:
    for one in step:
        most = one.policy.maximum_attempts
        if not most:
            yield "has a policy without an end"
        elif one.attempt > most:
            yield f"took attempt {one.attempt} of {most}"
        if one.is_permanent(one.before):
            yield f"took attempt {one.attempt} after a permanent failure"
    for before, _ in pairwise(step):
        if before.is_permanent(before.end) and not _waits(before):
            yield "was scheduled again after a permanent failure"
    again = _most_losses_in_a_row(step[:-1])
    if again > MAX_WORKER_LOSSES:
        yield f"was scheduled again {again} times after lost workers, not {MAX_WORKER_LOSSES}"


def _waits(one: Try) -> bool:
    """The workflow waits until an open call is settled, or an outage is over, and asks again."""
    return one.end is not None and one.end.application_failure_info.type in {UNDECIDED, *OUTAGES}


def _most_losses_in_a_row(step: Sequence[Try]) -> int:
    most = row = 0
    for one in step:
        row = row + 1 if one.was_lost else 0
        most = max(most, row)
    return most


def outlasts_its_outage(workflow_id: str, kind: str) -> Invariant:
    """An activity used up its attempts, and the same was scheduled again by the workflow itself,
    which waited before.
    """

    def judge(evidence: VideoEvidence) -> Iterator[str]:
        found = [a for a in evidence.workflows[workflow_id].activities if a.kind == kind]
        pauses = [
            (after.scheduled_at - before.closed_at).total_seconds()
            for before, after in pairwise(found)
            if before.closed_at and before.attempt == before.retry_policy.maximum_attempts
        ]
        if not pauses:
            yield f"{workflow_id}: {kind} was not tried again after all its attempts had failed"
        for pause in pauses:
            if pause < FIRST_PAUSE.total_seconds():
                yield f"{workflow_id}: {kind} was tried again after {pause:.1f} s already"

    return Invariant(f"outlasts_its_outage[{workflow_id}]", judge)

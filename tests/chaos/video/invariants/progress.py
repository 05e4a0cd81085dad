"""Checkpoints come in order and are never lost; progress never goes back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from chaos.evidence.journal import Event
from chaos.invariants import invariant, safety
from chaos.invariants.doubt import of_unfinished
from tests.chaos.video.evidence import VideoEvidence
from workflows.models import Progress


@invariant
def checkpoints_are_complete_and_in_order(evidence: VideoEvidence) -> Iterator[str]:
    """The result, or a failure's details, lists each expected checkpoint once, in order."""
    for expected, workflow in evidence.specified_workflows():
        progress = workflow.result(Progress)
        names = tuple(point.name for point in progress.checkpoints) if progress else ()
        if names != expected.checkpoints:
            problem = f"{expected.workflow_id} has checkpoints {names}, not {expected.checkpoints}"
            yield of_unfinished(workflow, problem)
        times = [point.at for point in progress.checkpoints] if progress else []
        if times != sorted(times):
            yield f"{expected.workflow_id}: a checkpoint is older than the one before it"


@safety
def progress_never_goes_back(evidence: VideoEvidence) -> Iterator[str]:
    """Each answer to the progress query, and at last the result, goes on from the one before."""
    for expected, workflow in evidence.specified_workflows():
        seen = _seen(evidence, expected.workflow_id)
        result = workflow.result(Progress)
        for before, after in pairwise([*seen, *((result,) if result else ())]):
            yield from _steps_back(expected.workflow_id, before, after)


def _seen(evidence: VideoEvidence, workflow_id: str) -> Sequence[Progress]:
    return [
        Progress.model_validate(entry.progress)
        for entry in evidence.journal
        if entry.event is Event.PROGRESS and entry.workflow_id == workflow_id
    ]


def _steps_back(workflow_id: str, before: Progress, after: Progress) -> Iterator[str]:
    if after.checkpoints[: len(before.checkpoints)] != before.checkpoints:
        yield f"{workflow_id} lost or changed a checkpoint after {before.progress_percent} %"
    if after.progress_percent < before.progress_percent:
        yield f"{workflow_id} fell from {before.progress_percent} to {after.progress_percent} %"
    if after.cost_usd < before.cost_usd:
        yield f"{workflow_id}: its cost fell from ${before.cost_usd} to ${after.cost_usd}"

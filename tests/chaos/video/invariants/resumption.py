"""An operation that failed at once goes on from its checkpoint when it is started again."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from chaos.evidence.history import Status, Workflow
from chaos.invariants import Invariant
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.invariants.tries import tries
from workflows.models import Progress


def resumed_from_its_checkpoint(workflow_id: str, words: Collection[str], kept: int) -> Invariant:
    """The first run failed at once and said why (all of `words`), the last one of the same id
    completed, and the first `kept` prompts were paid for before that failure and never again.
    """

    def judge(evidence: VideoEvidence) -> Iterator[str]:
        workflow = evidence.workflows.get(workflow_id)
        if workflow is None or len(workflow.runs) < 2:
            yield f"{workflow_id} was not started again"
            return
        for number, run in enumerate(workflow.runs[:-1], start=1):
            status = Workflow(workflow_id, (run,)).status
            if status is not Status.FAILED:
                yield f"{workflow_id}, run {number} is {status}, not failed"
        first = Workflow(workflow_id, workflow.runs[:1])
        yield from _failed_at_once(first, words)
        yield from _paid_again(evidence, first, kept)
        if workflow.status is not Status.COMPLETED or workflow.result(Progress) is None:
            yield f"{workflow_id} did not complete when it was started again"

    return Invariant(f"resumed_from_its_checkpoint[{workflow_id}]", judge)


def _failed_at_once(first: Workflow, words: Collection[str]) -> Iterator[str]:
    for word in words:
        if word not in first.failure_message:
            yield f"{first.workflow_id}: {first.failure_message!r} lacks {word!r}"
    failed = [one for one in tries(first.runs[0]) if one.end is not None]
    if not failed:
        yield f"{first.workflow_id}: no activity failed"
    for one in failed[-1:]:
        if one.attempt != 1 or not one.is_permanent(one.end):
            yield f"{first.workflow_id}: {one.kind} was retried ({one.attempt} attempts)"


def _paid_again(evidence: VideoEvidence, first: Workflow, kept: int) -> Iterator[str]:
    expected = next(e for e in evidence.specs if e.workflow_id == first.workflow_id)
    for prompt in expected.prompts[:kept]:
        bills = [bill.at for bill in evidence.billed if bill.prompt == prompt]
        before = [at for at in bills if first.closed_at and at < first.closed_at]
        if not before:
            yield f"{prompt!r} was not paid for before {first.workflow_id} failed"
        if len(bills) > len(before):
            yield f"{prompt!r} was paid for again when {first.workflow_id} was started again"

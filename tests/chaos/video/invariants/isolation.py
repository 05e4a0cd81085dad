"""What befalls one workflow does not touch another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from chaos.evidence.history import Status, Workflow
from chaos.invariants import Invariant
from chaos.invariants.doubt import of_repeated, of_unfinished
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.specs import VideoSpec


def no_interference(poisoned: Collection[str]) -> Invariant:
    """The workflows named fail alone: to all others it is as if nothing had happened."""

    def judge(evidence: VideoEvidence) -> Iterator[str]:
        if len(evidence.specs) <= len(poisoned):
            yield "there was no other workflow to be spared"
        for workflow_id in poisoned:
            workflow = evidence.workflows.get(workflow_id)
            if workflow is None or workflow.status is not Status.FAILED:
                yield f"{workflow_id} did not fail"
        for expected in evidence.specs:
            if expected.workflow_id not in poisoned:
                yield from _signs_of_trouble(evidence, expected)

    return Invariant("no_interference", judge)


def _signs_of_trouble(evidence: VideoEvidence, expected: VideoSpec) -> Iterator[str]:
    workflow = evidence.workflows.get(expected.workflow_id)
    if workflow is None or workflow.status is not Status.COMPLETED:
        problem = f"{expected.workflow_id} was not spared: it is not completed"
        yield of_unfinished(workflow, problem)
        return
    yield from _repeated(evidence, workflow)
    billed = Counter(
        (str(bill.item), bill.prompt) for bill in evidence.billed if bill.prompt in expected.prompts
    )
    for item, prompt in sorted(billed.keys() | expected.due.keys()):
        found, ideal = billed[item, prompt], expected.due[item, prompt]
        if found != ideal:
            yield f"{expected.workflow_id}: {item} {prompt!r} was billed {found} times, not {ideal}"


def _repeated(evidence: VideoEvidence, workflow: Workflow) -> Iterator[str]:
    for activity in workflow.activities:
        if activity.attempt > 1:
            problem = f"{workflow.workflow_id}: {activity.kind} took {activity.attempt} attempts"
            yield of_repeated(evidence, workflow, activity, problem)

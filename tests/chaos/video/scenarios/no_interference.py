"""Five workflows share one worker, and one of them is poisoned: it fails alone."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence

from chaos.environment.temporal import SHARED_SERVER
from chaos.evidence.history import Status, Workflow
from chaos.experiment.scenario import Case, Scenario
from chaos.invariants import Invariant
from chaos.invariants.doubt import of_repeated, of_unfinished
from tests.chaos.video import specs
from tests.chaos.video.case import COMMON, mocked_case
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api import shapes
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.rules import FaultRule
from tests.chaos.video.invariants.answers import api_answered
from tests.chaos.video.invariants.proofs import all_were_open_at_once
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.scenarios.api_slow import plan
from tests.chaos.video.specs import VideoSpec

OTHERS = 4
ATTEMPTS = 3
"""All that the retry policy allows."""


_BLOCKED = (
    specs.single("poisoned-prompt")
    .asking(videos=("the hero of poisoned, [blocked]",))
    .but_made(
        1,
        {
            "status": Status.FAILED,
            "checkpoints": ("started", "character_generated"),
            "failure_names": ("video 1 of 1", "rephrasing the prompt"),
        },
    )
)
# An outage would be waited for; that the model makes no image is this workflow's own trouble.
_REFUSED = specs.single("poisoned-replies").but_made(
    0,
    {
        "status": Status.FAILED,
        "checkpoints": ("started",),
        "failure_names": ("the character", "NO_IMAGE"),
        "attempts": {"generate_character": ATTEMPTS},
    },
)
_REFUSALS = shapes.no_image(match=_REFUSED.character_prompt, times=ATTEMPTS)


def _load(poisoned: VideoSpec) -> Sequence[VideoSpec]:
    return (
        *(specs.single(f"beside-{poisoned.workflow_id}-{n}") for n in range(1, OTHERS + 1)),
        poisoned,
    )


def _experiment(
    poisoned: VideoSpec, rules: Sequence[FaultRule]
) -> Callable[[VideoLab], Awaitable[None]]:
    async def experiment(lab: VideoLab) -> None:
        """All are open before the worker comes, so that they are at it at the same time."""
        await plan(lab, rules)
        await asyncio.gather(*(lab.start(spec) for spec in _load(poisoned)))
        await lab.worker()

    return experiment


def _case(name: str, poisoned: VideoSpec, rules: Sequence[FaultRule], hit: Invariant) -> Case:
    return mocked_case(
        name=name,
        experiment=_experiment(poisoned, rules),
        load=lambda _: _load(poisoned),
        invariants=(*COMMON, no_interference({poisoned.workflow_id})),
        proofs=(all_were_open_at_once(), hit),
        stack=SHARED_SERVER,
        about_seconds=35,
    )


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


SCENARIO = Scenario(
    name="no_interference",
    title="One Poisoned Workflow",
    cases=(
        _case(
            "blocked_prompt",
            _BLOCKED,
            (),
            api_answered(_BLOCKED, Call.VIDEO_START, "blocked", billed=False),
        ),
        _case(
            "refused_until_it_fails",
            _REFUSED,
            (_REFUSALS,),
            api_answered(_REFUSED, Call.IMAGE, "status 200", times=ATTEMPTS, billed=False),
        ),
    ),
)

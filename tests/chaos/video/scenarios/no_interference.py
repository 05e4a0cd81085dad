"""Five workflows share one worker, and one of them is poisoned: it fails alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from chaos.environment.temporal import SHARED_SERVER
from chaos.evidence.bills import Mode
from chaos.evidence.history import Status
from chaos.experiment.scenario import Case, Scenario
from chaos.invariants import Invariant
from tests.chaos.video import specs
from tests.chaos.video.case import COMMON, video_case
from tests.chaos.video.fake_api import shapes
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.rules import FaultRule
from tests.chaos.video.invariants.answers import api_answered
from tests.chaos.video.invariants.api_proofs import all_were_open_at_once
from tests.chaos.video.invariants.isolation import no_interference
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
    return video_case(
        name=name,
        experiment=_experiment(poisoned, rules),
        load=lambda _: _load(poisoned),
        modes=frozenset({Mode.MOCKED}),
        invariants=(*COMMON, no_interference({poisoned.workflow_id})),
        proofs=(all_were_open_at_once(), hit),
        stack=SHARED_SERVER,
        about_seconds=35,
    )


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

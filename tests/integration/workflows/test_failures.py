"""A workflow that fails says which step and why, and hands over what it made."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chaos.evidence.history import Status
from tests.chaos.video import specs
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule
from tests.integration.workflows.bench import Bench, checkpoints, final
from workflows.models import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCENE_1, SCENE_2, SCENE_3 = "the fox waves.", "the fox does it [blocked].", "the fox sleeps."
BLOCKED = specs.series("blocked", videos=3).asking(videos=(SCENE_1, SCENE_2, SCENE_3))
UNDELIVERED = pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (
            FaultKind.FAILED_OPERATION,
            (
                "the API failed to make it: The prompt could not be submitted. This prompt "
                "contains sensitive words that violate Google's Responsible AI practices. Try "
                "rephrasing the prompt."
            ),
        ),
        (
            FaultKind.RAI_FILTERED,
            (
                "the API's safety filter withheld it; reword the video prompt. The generated video "
                "was kept back by the safety filter."
            ),
        ),
    ],
)


async def test_a_failure_says_why_costs_what_was_made_and_begins_nothing_more(
    bench: Bench,
) -> None:
    """A series of three whose second prompt the provider refuses."""
    await bench.lab.start(BLOCKED)
    blocked = await bench.ended(BLOCKED)
    assert blocked.status is Status.FAILED
    assert blocked.failure_message == (
        "video 2 of 3 failed: the API refused the video call (HTTP 400): The prompt could not be "
        "submitted: it contains words that violate Google's safety policies. "
        "Try rephrasing the prompt."
    )
    starts = [activity for activity in blocked.activities if activity.kind == "start_video"]
    assert [start.attempt for start in starts] == [1, 1]
    progress = final(blocked)
    assert checkpoints(progress) == ["started", "character_generated", "video_1_complete"]
    assert [artifact.path for artifact in progress.artifacts] == [
        "blocked/character.png",
        "blocked/video-001.mp4",
    ]
    assert progress.cost_usd == Decimal("1.239")
    assert await bench.billed(BLOCKED) == [BLOCKED.character_prompt, SCENE_1]
    requested = [prompt for _, prompt in await bench.requested(BLOCKED)]
    assert requested == [BLOCKED.character_prompt, SCENE_1, SCENE_2]
    assert await bench.progress(BLOCKED) == progress
    assert (progress.stage, progress.failure) == (Stage.FAILED, blocked.failure_message)


@UNDELIVERED
async def test_a_video_that_is_not_delivered_fails_with_its_reason_and_costs_nothing(
    bench: Bench, kind: FaultKind, reason: str
) -> None:
    spec = specs.single(f"{kind}-reason")
    final_code = {"code": 3} if kind is FaultKind.FAILED_OPERATION else {}
    rule = FaultRule(call=Call.VIDEO_START, kind=kind, match=spec.video_prompts[0], **final_code)
    await bench.lab.api.add_rule(rule)
    workflow = await bench.run(spec)
    assert workflow.status is Status.FAILED
    assert workflow.failure_message == f"video 1 of 1 failed: {reason}"
    assert final(workflow).cost_usd == Decimal("0.039")

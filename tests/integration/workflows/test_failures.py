"""A workflow that fails says which step and why, and hands over what it made."""

from __future__ import annotations

from decimal import Decimal

import pytest
import pytest_asyncio

from chaos.evidence.history import Status, Workflow
from tests.chaos.video import specs
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule
from tests.chaos.video.specs import VideoSpec
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


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def blocked(bench: Bench) -> Workflow:
    """A series of three whose second prompt the provider refuses."""
    await bench.lab.start(BLOCKED)
    return await bench.ended(BLOCKED)


async def test_a_failure_names_the_step_and_the_reason(blocked: Workflow) -> None:
    assert blocked.status is Status.FAILED
    assert blocked.failure_message == (
        "video 2 of 3 failed: the API refused the video call (HTTP 400): The prompt could not be "
        "submitted: it contains words that violate Google's safety policies. "
        "Try rephrasing the prompt."
    )


async def test_a_blocked_prompt_is_not_tried_again(blocked: Workflow) -> None:
    starts = [activity for activity in blocked.activities if activity.kind == "start_video"]
    assert [start.attempt for start in starts] == [1, 1]


async def test_a_failure_carries_what_was_made(blocked: Workflow) -> None:
    progress = final(blocked)
    assert checkpoints(progress) == ["started", "character_generated", "video_1_complete"]
    assert [artifact.path for artifact in progress.artifacts] == [
        "blocked/character.png",
        "blocked/video-001.mp4",
    ]


async def test_a_failure_costs_what_was_made(blocked: Workflow, bench: Bench) -> None:
    assert final(blocked).cost_usd == Decimal("1.239")
    assert await bench.billed(BLOCKED) == [BLOCKED.character_prompt, SCENE_1]


@pytest.mark.usefixtures("blocked")
async def test_what_follows_a_failure_is_not_begun(bench: Bench) -> None:
    assert [prompt for call, prompt in await bench.requested(BLOCKED)] == [
        BLOCKED.character_prompt,
        SCENE_1,
        SCENE_2,
    ]


async def test_progress_is_told_after_a_failure(blocked: Workflow, bench: Bench) -> None:
    progress = await bench.progress(BLOCKED)
    assert progress == final(blocked)
    assert (progress.stage, progress.failure) == (Stage.FAILED, blocked.failure_message)


async def undelivered(bench: Bench, asked: VideoSpec, kind: FaultKind) -> Workflow:
    """Run a single whose video the provider begins and never delivers."""
    final = {"code": 3} if kind is FaultKind.FAILED_OPERATION else {}
    rule = FaultRule(call=Call.VIDEO_START, kind=kind, match=asked.video_prompts[0], **final)
    await bench.lab.api.add_rule(rule)
    await bench.lab.start(asked)
    return await bench.ended(asked)


@UNDELIVERED
async def test_a_video_that_is_not_delivered_fails_with_its_reason(
    bench: Bench, kind: FaultKind, reason: str
) -> None:
    workflow = await undelivered(bench, specs.single(f"{kind}-reason"), kind)
    assert workflow.status is Status.FAILED
    assert workflow.failure_message == f"video 1 of 1 failed: {reason}"


@UNDELIVERED
async def test_a_video_that_is_not_delivered_costs_nothing(
    bench: Bench, kind: FaultKind, reason: str
) -> None:
    workflow = await undelivered(bench, specs.single(f"{kind}-cost"), kind)
    assert reason in workflow.failure_message
    assert final(workflow).cost_usd == Decimal("0.039")


@pytest.mark.parametrize("videos", [0, 1001])
async def test_a_series_of_a_wrong_length_is_refused(bench: Bench, videos: int) -> None:
    asked = specs.series(f"series-of-{videos}", videos)
    await bench.lab.start(asked)
    workflow = await bench.ended(asked)
    assert workflow.status is Status.FAILED
    assert workflow.failure_message == f"a series has 1 to 1000 videos, not {videos}."
    assert await bench.requested(asked) == []


async def test_progress_tells_that_a_series_was_refused(bench: Bench) -> None:
    asked = specs.series("refused-series", videos=0)
    await bench.lab.start(asked)
    await bench.ended(asked)
    progress = await bench.progress(asked)
    assert (progress.stage, progress.failure) == (
        Stage.FAILED,
        "a series has 1 to 1000 videos, not 0.",
    )

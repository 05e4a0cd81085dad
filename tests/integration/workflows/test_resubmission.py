"""An operation that is started again goes on where it stopped, and pays for nothing twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from chaos.evidence.history import Status
from tests.chaos.video import specs
from tests.chaos.video.fake_api.bills import Billed, Call
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule
from tests.chaos.video.specs import VideoSpec
from tests.integration.workflows.bench import Bench, checkpoints, final, steps

pytestmark = pytest.mark.asyncio(loop_scope="session")

VIDEO = ["start_video", "await_video", "download_video"]
FREE = Decimal(0)


def blocked(workflow_id: str) -> VideoSpec:
    """A series of three whose second prompt the provider refuses."""
    return with_video(specs.series(workflow_id, videos=3), 2, f"{workflow_id} does it [blocked].")


def with_video(spec: VideoSpec, number: int, prompt: str) -> VideoSpec:
    prompts = list(spec.video_prompts)
    prompts[number - 1] = prompt
    return spec.asking(videos=tuple(prompts))


def fixed(spec: VideoSpec) -> VideoSpec:
    return with_video(spec, 2, f"the hero of {spec.workflow_id}, fixed.")


# A series that failed


async def test_a_mended_series_goes_on_at_the_video_that_failed(quick_bench: Bench) -> None:
    spec = blocked("fixed")
    assert (await quick_bench.run(spec)).status is Status.FAILED
    before = await quick_bench.requested(spec)
    workflow = await quick_bench.run(fixed(spec))
    assert workflow.status is Status.COMPLETED
    begun = ["open_operation", "generate_character", "start_video"]
    assert steps(workflow) == [*begun, *VIDEO, *VIDEO]
    everything = spec.asking(videos=(*spec.video_prompts, *fixed(spec).video_prompts))
    requested = await quick_bench.requested(everything)
    assert requested[len(before) :] == [
        (Call.VIDEO_START, prompt) for prompt in fixed(spec).video_prompts[1:]
    ]
    # The result is that of the whole operation.
    result = final(workflow)
    assert (result.cost_usd, result.possible_waste_usd) == (Decimal("3.639"), FREE)
    assert checkpoints(result) == list(spec.checkpoints)
    assert await quick_bench.billed(fixed(spec)) == list(fixed(spec).prompts)
    told = {artifact.path: artifact.sha256 for artifact in result.artifacts}
    there = {path: sha256(quick_bench.artifacts / path) for path in told}
    assert len(told) == 4
    assert there == told


async def test_a_series_that_is_not_mended_fails_again_and_pays_nothing(
    quick_bench: Bench,
) -> None:
    spec = blocked("not-fixed")
    first = await quick_bench.run(spec)
    second = await quick_bench.run(spec)
    assert (second.status, second.failure_message) == (Status.FAILED, first.failure_message)
    assert final(second).cost_usd == Decimal("1.239")
    assert await quick_bench.billed(spec) == list(spec.prompts[:2])


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def test_an_operation_that_is_started_with_other_prompts_is_refused_at_once(
    quick_bench: Bench,
) -> None:
    """Which ones are others: see the tests of the payment journal."""
    spec = blocked("begun-otherwise")
    await quick_bench.run(spec)
    before = await quick_bench.calls()
    other = with_video(spec, 1, "another scene 1.")
    workflow = await quick_bench.run(fixed(other))
    assert workflow.status is Status.FAILED
    assert workflow.failure_message == (
        "the operation failed: the operation begun-otherwise was started with another prompt for "
        "its video-001; start it with its own prompts to continue, or use a new operation id."
    )
    assert [(done.kind, done.attempt) for done in workflow.activities] == [("open_operation", 1)]
    assert await quick_bench.calls() == before


# A video that was begun and not delivered


@pytest.mark.parametrize("kind", [FaultKind.FAILED_OPERATION, FaultKind.RAI_FILTERED])
async def test_a_video_that_was_not_delivered_is_begun_anew_and_billed_once(
    quick_bench: Bench, kind: FaultKind
) -> None:
    spec = specs.single(f"again-after-{kind}")
    final_code = {"code": 3} if kind is FaultKind.FAILED_OPERATION else {}
    rule = FaultRule(call=Call.VIDEO_START, kind=kind, match=spec.video_prompts[0], **final_code)
    await quick_bench.lab.api.add_rule(rule)
    first = await quick_bench.run(spec)
    assert (first.status, final(first).cost_usd) == (Status.FAILED, Decimal("0.039"))
    result = final(await quick_bench.run(spec))
    assert (result.cost_usd, result.possible_waste_usd) == (Decimal("1.239"), FREE)
    assert await billed_usd(quick_bench, spec) == Decimal("1.239")
    assert [call for call, _ in await quick_bench.requested(spec)] == [
        Call.IMAGE,
        Call.VIDEO_START,
        Call.VIDEO_START,
    ]


async def test_a_video_that_was_withheld_may_be_reworded(quick_bench: Bench) -> None:
    spec = specs.single("withheld-and-reworded")
    kind = FaultKind.RAI_FILTERED
    rule = FaultRule(call=Call.VIDEO_START, kind=kind, match=spec.video_prompts[0])
    await quick_bench.lab.api.add_rule(rule)
    await quick_bench.run(spec)
    reworded = with_video(spec, 1, "the hero of withheld-and-reworded, reworded")
    assert (await quick_bench.run(reworded)).status is Status.COMPLETED
    assert await quick_bench.billed(reworded) == list(reworded.prompts)


async def billed_usd(bench: Bench, spec: VideoSpec) -> Decimal:
    all_records = await bench.lab.api.records()
    bills = [r for r in all_records if isinstance(r, Billed) and r.prompt in spec.prompts]
    return sum((bill.amount_usd for bill in bills), Decimal(0))


# An operation that is complete


async def test_a_complete_operation_that_is_started_again_asks_the_provider_for_nothing(
    quick_bench: Bench,
) -> None:
    spec = specs.single("complete-and-again")
    first = final(await quick_bench.run(spec))
    before = await quick_bench.calls()
    workflow = await quick_bench.run(spec)
    second = final(workflow)
    assert await quick_bench.calls() == before
    assert steps(workflow) == ["open_operation", "generate_character", "start_video"]
    assert (second.artifacts, second.cost_usd) == (first.artifacts, first.cost_usd)
    assert (second.stage, checkpoints(second)) == (first.stage, checkpoints(first))
    assert second.progress_percent == 100


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [Path.unlink, truncate], ids=["deleted", "truncated"])
async def test_a_video_that_is_damaged_on_disk_is_downloaded_again_for_free(
    quick_bench: Bench, damage: Callable[[Path], None]
) -> None:
    spec = specs.single(f"{damage.__name__}-video")
    first = final(await quick_bench.run(spec))
    damage(quick_bench.artifacts / first.artifacts[1].path)
    before = await quick_bench.calls()
    second = final(await quick_bench.run(spec))
    assert (await quick_bench.calls())[len(before) :] == [Call.POLL, Call.DOWNLOAD]
    assert (second.artifacts, second.cost_usd) == (first.artifacts, first.cost_usd)
    made = second.artifacts[1]
    assert sha256(quick_bench.artifacts / made.path) == made.sha256


async def test_a_character_that_is_damaged_on_disk_is_told_and_not_paid_for_again(
    quick_bench: Bench,
) -> None:
    spec = specs.single("truncated-character")
    first = final(await quick_bench.run(spec))
    truncate(quick_bench.artifacts / first.artifacts[0].path)
    before = await quick_bench.calls()
    workflow = await quick_bench.run(spec)
    assert workflow.status is Status.FAILED
    assert workflow.failure_message == (
        "the character failed: the artifact truncated-character/character.png was changed after "
        "it was made; restore it, or start a new operation, which pays for it again."
    )
    assert [(done.kind, done.attempt) for done in workflow.activities] == [
        ("open_operation", 1),
        ("generate_character", 1),
    ]
    assert await quick_bench.calls() == before

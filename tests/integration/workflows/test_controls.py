"""Pause, resume and cancel take effect between steps, so nothing that was paid for is dropped."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chaos.evidence.history import Status
from tests.chaos.video import specs
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.fake_api.control import Breakpoint
from tests.chaos.video.specs import VideoSpec
from tests.integration.workflows.bench import Bench, checkpoints, final, steps
from workflows.models import Progress, Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def held_at_its_character(bench: Bench, spec: VideoSpec) -> Breakpoint:
    """Start a workflow whose image request is held."""
    halt = await bench.set_breakpoint(BreakAt.IMAGE, spec.character_prompt)
    await bench.lab.start(spec)
    await halt.reached(deadline_seconds=10)
    return halt


async def paused_after_its_character(bench: Bench, spec: VideoSpec) -> Progress:
    """Pause a workflow during its first step, and let that step end."""
    halt = await held_at_its_character(bench, spec)
    await bench.handle(spec).signal("pause")
    paused = await bench.until(spec, lambda progress: progress.paused, what="it is paused")
    assert (paused.stage, checkpoints(paused)) == (Stage.GENERATING_CHARACTER, ["started"])
    await halt.resume()
    return await bench.until(
        spec,
        lambda progress: "character_generated" in checkpoints(progress),
        what="the character is made",
    )


async def test_a_pause_lets_the_step_in_hand_end_and_no_other_begin_until_it_is_resumed(
    bench: Bench,
) -> None:
    spec = specs.single("paused")
    progress = await paused_after_its_character(bench, spec)
    assert progress.paused
    # The task that passed the checkpoint is over, and it scheduled nothing more.
    assert steps(await bench.workflow(spec)) == ["open_operation", "generate_character"]
    assert await bench.requested(spec) == [(Call.IMAGE, spec.character_prompt)]
    await bench.handle(spec).signal("resume")
    result = final(await bench.ended(spec))
    assert (result.stage, result.paused) == (Stage.COMPLETE, False)
    assert await bench.billed(spec) == list(spec.prompts)


@pytest.mark.parametrize("control", ["pause", "cancel"])
async def test_what_comes_in_the_last_step_comes_too_late(bench: Bench, control: str) -> None:
    spec = specs.single(f"{control}-in-its-last-step")
    halt = await bench.set_breakpoint(BreakAt.VIDEO, spec.video_prompts[0])
    await bench.lab.start(spec)
    await halt.reached(deadline_seconds=10)
    if control == "pause":
        await bench.handle(spec).signal("pause")
    else:
        await bench.handle(spec).cancel()
    await halt.resume()
    workflow = await bench.ended(spec)
    assert (workflow.status, final(workflow).paused) == (Status.COMPLETED, False)


async def test_a_cancel_lets_the_step_in_hand_end_and_keeps_what_it_made(bench: Bench) -> None:
    spec = specs.single("canceled-in-a-step")
    halt = await held_at_its_character(bench, spec)
    await bench.handle(spec).cancel()
    await halt.resume()
    workflow = await bench.ended(spec)
    progress = await bench.progress(spec)
    assert workflow.status is Status.CANCELED
    assert steps(workflow) == ["open_operation", "generate_character"]
    assert checkpoints(progress) == ["started", "character_generated"]
    assert (bench.artifacts / progress.artifacts[0].path).exists()
    assert await bench.billed(spec) == [spec.character_prompt]


async def test_a_series_that_is_canceled_keeps_its_video_in_hand(bench: Bench) -> None:
    spec = specs.series("canceled-series", videos=2)
    halt = await bench.set_breakpoint(BreakAt.VIDEO, spec.video_prompts[0])
    await bench.lab.start(spec)
    await halt.reached(deadline_seconds=10)
    await bench.handle(spec).cancel()
    await halt.resume()
    workflow = await bench.ended(spec)
    assert workflow.status is Status.CANCELED
    assert checkpoints(await bench.progress(spec))[-1] == "video_1_complete"
    assert await bench.billed(spec) == list(spec.prompts[:2])


async def test_a_cancel_ends_a_paused_workflow_at_once(bench: Bench) -> None:
    spec = specs.single("canceled-while-paused")
    await paused_after_its_character(bench, spec)
    await bench.handle(spec).cancel()
    workflow = await bench.ended(spec)
    progress = await bench.progress(spec)
    assert (workflow.status, progress.stage) == (Status.CANCELED, Stage.CANCELED)
    assert progress.cost_usd == Decimal("0.039")
    assert await bench.billed(spec) == [spec.character_prompt]

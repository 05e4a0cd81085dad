"""A paid request without a reply: who decides what becomes of it, and what that costs."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from chaos.evidence.history import Status
from tests.chaos.video import specs
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule, When
from tests.chaos.video.specs import VideoSpec
from tests.integration.workflows.bench import Bench, checkpoints, decide, final, until_undecided
from tests.integration.workflows.conftest import ASK
from workflows.models import Choice, Item, Progress, Stage
from workflows.payments.calls import Limits, PaidRequest

pytestmark = pytest.mark.asyncio(loop_scope="session")

VIDEO_1, VIDEO_2 = "video-001", "video-002"
LOST = "the connection broke during the video call (ReadError)."
VIDEO_USD = Decimal("1.20")
FREE = Decimal(0)


async def lose_reply(bench: Bench, call: Call, prompt: str, times: int = 1) -> None:
    """Have the connection reset after the next request of that prompt was billed."""
    rule = FaultRule(
        call=call, kind=FaultKind.RESET, when=When.AFTER_BILLING, match=prompt, times=times
    )
    await bench.lab.api.add_rule(rule)


async def undecided(bench: Bench, spec: VideoSpec) -> Progress:
    """Start a workflow that loses the reply to its first video, and asks."""
    await lose_reply(bench, Call.VIDEO_START, spec.video_prompts[0])
    await bench.lab.start(spec, task_queue=ASK)
    return await until_undecided(bench, spec)


# What is told, and what is not done


async def test_a_lost_reply_is_asked_about(asking: Bench) -> None:
    spec = specs.single("asked-about")
    progress = await undecided(asking, spec)
    call = progress.undecided
    assert call
    assert (call.step, call.item, call.cost_usd) == (VIDEO_1, Item.VIDEO, VIDEO_USD)
    assert (call.reason, call.ambiguous, call.settle_at) == (LOST, 1, None)
    assert (progress.cost_usd, progress.hint) == (Decimal("0.039"), None)
    assert checkpoints(progress) == ["started", "character_generated"]
    assert await asking.requested(spec) == [
        (Call.IMAGE, spec.character_prompt),
        (Call.VIDEO_START, spec.video_prompts[0]),
    ]


# What may be decided


async def test_an_image_is_sent_again(asking: Bench) -> None:
    spec = specs.single("resent-image")
    await lose_reply(asking, Call.IMAGE, spec.character_prompt)
    await asking.lab.start(spec, task_queue=ASK)
    await until_undecided(asking, spec)
    await decide(asking, spec, Choice.RESEND, step="character")
    result = final(await asking.ended(spec))
    assert (result.cost_usd, result.possible_waste_usd) == (Decimal("1.239"), Decimal("0.039"))
    assert await asking.billed(spec) == [spec.character_prompt, *spec.prompts]


async def test_what_is_lost_again_is_asked_about_again(asking: Bench) -> None:
    spec = specs.single("resent-and-lost")
    await lose_reply(asking, Call.VIDEO_START, spec.video_prompts[0], times=2)
    await asking.lab.start(spec, task_queue=ASK)
    await until_undecided(asking, spec)
    await decide(asking, spec, Choice.RESEND)
    await asking.until(
        spec,
        lambda now: now.undecided is not None and now.undecided.ambiguous == 2,
        what="it asks again",
    )
    await decide(asking, spec, Choice.RESEND)
    result = final(await asking.ended(spec))
    assert (result.cost_usd, result.possible_waste_usd) == (Decimal("1.239"), 2 * VIDEO_USD)


async def test_what_is_given_up_fails_and_keeps_what_was_made(asking: Bench) -> None:
    spec = specs.series("given-up", videos=2)
    await lose_reply(asking, Call.VIDEO_START, spec.video_prompts[1])
    await asking.lab.start(spec, task_queue=ASK)
    await until_undecided(asking, spec)
    await decide(asking, spec, Choice.GIVE_UP, step=VIDEO_2)
    workflow = await asking.ended(spec)
    made = final(workflow)
    assert workflow.status is Status.FAILED
    assert workflow.failure_message == (
        "video 2 of 2 failed: it was given up after a call that may have been paid for: " + LOST
    )
    assert checkpoints(made) == ["started", "character_generated", "video_1_complete"]
    assert made.cost_usd == Decimal("1.239")
    assert all((asking.artifacts / artifact.path).exists() for artifact in made.artifacts)


async def test_what_was_given_up_is_asked_about_again_when_it_is_started_again(
    asking: Bench,
) -> None:
    spec = specs.single("given-up-and-taken-up")
    await undecided(asking, spec)
    await decide(asking, spec, Choice.GIVE_UP)
    await asking.ended(spec)
    await asking.lab.start(spec, task_queue=ASK)
    await until_undecided(asking, spec)
    name = await asking.provider_operation(spec.video_prompts[0])
    await decide(asking, spec, Choice.MADE, name=name)
    result = final(await asking.ended(spec))
    assert (result.stage, result.cost_usd) == (Stage.COMPLETE, Decimal("1.239"))
    assert await asking.billed(spec) == list(spec.prompts)


async def test_a_decision_that_does_not_fit_is_not_taken_and_a_fitting_one_is(
    asking: Bench,
) -> None:
    """Which ones do not fit: see the unit tests of `workflows.inputs`."""
    spec = specs.single("resent")
    await undecided(asking, spec)
    await decide(asking, spec, Choice.RESEND, step=VIDEO_2)
    progress = await asking.until(spec, lambda now: now.hint is not None, what="it says why")
    assert progress.hint == "the open call belongs to 'video-001', not to 'video-002'."
    assert progress.stage is Stage.UNDECIDED
    assert progress.undecided
    assert len(await asking.requested(spec)) == 2

    await decide(asking, spec, Choice.RESEND)
    workflow = await asking.ended(spec)
    result = final(workflow)
    assert (workflow.status, result.hint) == (Status.COMPLETED, None)
    assert (result.cost_usd, result.possible_waste_usd) == (Decimal("1.239"), VIDEO_USD)
    assert await asking.billed(spec) == [*spec.prompts, spec.video_prompts[0]]


def leave_intent(bench: Bench, spec: VideoSpec, deadline_seconds: float) -> None:
    """Record the intent to start its video, as a worker does that then dies."""
    video = PaidRequest(spec.workflow_id, VIDEO_1, Item.VIDEO, "m", VIDEO_USD, deadline_seconds)
    with bench.journal() as journal:
        journal.reserve(video, Limits(in_doubt_allowed=0))


async def test_a_call_whose_reply_may_still_come_is_decided_only_after_its_deadline(
    asking: Bench,
) -> None:
    spec = specs.single("decided-too-early")
    await asyncio.to_thread(leave_intent, asking, spec, deadline_seconds=0)
    await asking.lab.start(spec, task_queue=ASK)
    waiting = await asking.until(spec, lambda now: now.undecided is not None, what="it waits")
    assert waiting.undecided
    assert waiting.undecided.settle_at
    await decide(asking, spec, Choice.RESEND)
    early = await asking.until(spec, lambda now: now.hint is not None, what="it says why")
    end = f"{waiting.undecided.settle_at:%H:%M:%S}"
    assert early.hint == f"its reply may still come until {end} UTC; decide after that."
    assert early.stage is Stage.STARTING_VIDEO
    call = (await until_undecided(asking, spec)).undecided
    assert call
    assert call.reason == "its sender recorded no outcome before the deadline"
    assert await asking.requested(spec) == [(Call.IMAGE, spec.character_prompt)]
    await decide(asking, spec, Choice.RESEND)
    result = final(await asking.ended(spec))
    assert (result.stage, result.possible_waste_usd) == (Stage.COMPLETE, VIDEO_USD)
    assert await asking.billed(spec) == list(spec.prompts)


# Pause and cancel


async def test_a_cancel_ends_what_is_undecided(asking: Bench) -> None:
    spec = specs.single("undecided-and-canceled")
    await undecided(asking, spec)
    await asking.handle(spec).cancel()
    workflow = await asking.ended(spec)
    progress = await asking.progress(spec)
    assert (workflow.status, progress.stage) == (Status.CANCELED, Stage.CANCELED)
    assert checkpoints(progress) == ["started", "character_generated"]
    assert (progress.undecided, progress.cost_usd) == (None, Decimal("0.039"))
    assert len(await asking.requested(spec)) == 2


async def test_a_pause_while_undecided_takes_effect_after_the_video(asking: Bench) -> None:
    spec = specs.series("undecided-and-paused", videos=2)
    await undecided(asking, spec)
    await asking.handle(spec).signal("pause")
    paused = await asking.until(spec, lambda now: now.paused, what="it is paused")
    assert paused.stage is Stage.UNDECIDED
    await decide(asking, spec, Choice.RESEND)
    waiting = await asking.until(
        spec, lambda now: "video_1_complete" in checkpoints(now), what="video 1 is complete"
    )
    assert waiting.paused
    assert spec.video_prompts[1] not in await asking.billed(spec)
    await asking.handle(spec).signal("resume")
    result = final(await asking.ended(spec))
    assert checkpoints(result) == list(spec.checkpoints)


# The Temporal CLI


async def signal_by_cli(
    cli: Path, bench: Bench, spec: VideoSpec, decision: Mapping[str, str]
) -> None:
    """Decide as a user does at the command line."""
    argv = [
        *(str(cli), "workflow", "signal"),
        *("--workflow-id", spec.workflow_id, "--name", "decide"),
        *("--input", json.dumps(decision)),
    ]
    server = bench.lab.stack.server.port.address
    environment = {"HOME": str(bench.folder), "TEMPORAL_ADDRESS": server}
    await asyncio.to_thread(
        subprocess.run, argv, env=environment, check=True, capture_output=True, timeout=30
    )


async def test_a_video_is_called_made_by_the_cli_fetched_and_billed_once(
    asking: Bench, temporal_cli: Path
) -> None:
    spec = specs.single("made-by-cli")
    await undecided(asking, spec)
    name = await asking.provider_operation(spec.video_prompts[0])
    decision = {"step": VIDEO_1, "choice": "made", "provider_operation": name}
    await signal_by_cli(temporal_cli, asking, spec, decision)
    workflow = await asking.ended(spec)
    result = final(workflow)
    assert workflow.status is Status.COMPLETED
    assert (result.cost_usd, result.possible_waste_usd) == (Decimal("1.239"), FREE)
    assert (result.undecided, result.hint) == (None, None)
    assert checkpoints(result) == list(spec.checkpoints)
    assert await asking.billed(spec) == list(spec.prompts)


async def test_a_choice_that_does_not_exist_changes_nothing(
    asking: Bench, temporal_cli: Path
) -> None:
    spec = specs.single("unknown-choice-by-cli")
    await undecided(asking, spec)
    await signal_by_cli(temporal_cli, asking, spec, {"step": VIDEO_1, "choice": "maybe"})
    await signal_by_cli(temporal_cli, asking, spec, {"step": VIDEO_1, "choice": "resend"})
    workflow = await asking.ended(spec)
    assert (workflow.status, workflow.task_failures) == (Status.COMPLETED, 0)


# IN_DOUBT_POLICY=resend, as it is by default


async def test_a_lost_reply_is_sent_for_again_once_without_a_question(quick_bench: Bench) -> None:
    spec = specs.single("lost-once")
    await lose_reply(quick_bench, Call.VIDEO_START, spec.video_prompts[0])
    workflow = await quick_bench.run(spec)
    result = final(workflow)
    starts = [activity for activity in workflow.activities if activity.kind == "start_video"]
    assert [start.attempt for start in starts] == [2]
    assert (result.cost_usd, result.possible_waste_usd) == (Decimal("1.239"), VIDEO_USD)
    assert await quick_bench.billed(spec) == [*spec.prompts, spec.video_prompts[0]]

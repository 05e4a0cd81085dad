"""A video that may be paid for and can be fetched no more: told, decided on, bought again."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chaos.evidence.history import Status
from tests.chaos.video import specs
from tests.chaos.video.fake_api import shapes
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule
from tests.chaos.video.specs import VideoSpec
from tests.integration.workflows.bench import Bench, checkpoints, decide, final, until_undecided
from workflows.models import Choice, Item, Stage, video_step

pytestmark = pytest.mark.asyncio(loop_scope="session")

VIDEO_USD = Decimal("1.20")
SINGLE_USD = Decimal("1.239")
FREE = Decimal(0)
OUT_OF_REACH = pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (FaultKind.UNDELIVERED, "the API reports it as done, but delivered neither a video nor"),
        (FaultKind.EXPIRED, "Operation not found. The provider keeps a video for two days, so it"),
    ],
)


async def plan(bench: Bench, *rules: FaultRule) -> None:
    for rule in rules:
        await bench.lab.api.add_rule(rule)


def ends(spec: VideoSpec, kind: FaultKind, number: int = 1) -> FaultRule:
    """How the first video of that prompt ends."""
    return FaultRule(call=Call.VIDEO_START, kind=kind, match=spec.video_prompts[number - 1])


def file_of_another(spec: VideoSpec, times: int) -> FaultRule:
    """What the provider says of a file of another project, and of one that there is not."""
    message = "You do not have permission to access the File abc123 or it may not exist."
    error = {"code": 403, "status": "PERMISSION_DENIED", "message": message}
    return FaultRule(
        call=Call.DOWNLOAD,
        kind=FaultKind.STATUS,
        status=403,
        body={"error": error},
        match=spec.video_prompts[0],
        times=times,
    )


@OUT_OF_REACH
async def test_it_says_what_happened_and_is_bought_again_under_the_same_id(
    quick_bench: Bench, kind: FaultKind, reason: str
) -> None:
    spec = specs.single(f"again-{kind}")
    await plan(quick_bench, ends(spec, kind))
    await quick_bench.lab.start(spec)
    progress = await until_undecided(quick_bench, spec)
    call = progress.undecided
    assert call
    assert (call.step, call.item, call.lost, call.ambiguous) == ("video-001", Item.VIDEO, 1, 0)
    assert reason in call.reason
    assert (progress.cost_usd, progress.possible_waste_usd) == (Decimal("0.039"), VIDEO_USD)
    await decide(quick_bench, spec, Choice.RESEND)
    result = final(await quick_bench.ended(spec))
    assert (result.cost_usd, result.possible_waste_usd) == (SINGLE_USD, VIDEO_USD)
    assert checkpoints(result) == list(spec.checkpoints)
    assert await quick_bench.billed(spec) == [*spec.prompts, spec.video_prompts[0]]


async def test_it_is_never_bought_again_without_a_decision(quick_bench: Bench) -> None:
    spec = specs.single("asked-first")
    await plan(quick_bench, ends(spec, FaultKind.UNDELIVERED))
    for _ in range(2):
        await quick_bench.lab.start(spec)
        await until_undecided(quick_bench, spec)
        await decide(quick_bench, spec, Choice.GIVE_UP)
        workflow = await quick_bench.ended(spec)
        assert workflow.status is Status.FAILED
        assert "delivered neither a video nor" in workflow.failure_message
    assert await quick_bench.billed(spec) == list(spec.prompts)


async def test_what_is_lost_again_is_asked_about_again(quick_bench: Bench) -> None:
    spec = specs.single("out-of-reach-twice")
    twice = ends(spec, FaultKind.UNDELIVERED).model_copy(update={"times": 2})
    await plan(quick_bench, twice)
    await quick_bench.lab.start(spec)
    await until_undecided(quick_bench, spec)
    await decide(quick_bench, spec, Choice.RESEND)
    await quick_bench.until(
        spec,
        lambda now: now.undecided is not None and now.undecided.lost == 2,
        what="it asks again",
    )
    await decide(quick_bench, spec, Choice.RESEND)
    result = final(await quick_bench.ended(spec))
    assert (result.cost_usd, result.possible_waste_usd) == (SINGLE_USD, 2 * VIDEO_USD)


async def test_a_series_keeps_the_rest_and_goes_on(quick_bench: Bench) -> None:
    spec = specs.series("rest-is-kept", videos=3)
    await plan(quick_bench, ends(spec, FaultKind.EXPIRED, number=2))
    await quick_bench.lab.start(spec)
    await until_undecided(quick_bench, spec)
    await decide(quick_bench, spec, Choice.GIVE_UP, step=video_step(2))
    given_up = await quick_bench.ended(spec)
    assert checkpoints(final(given_up)) == ["started", "character_generated", "video_1_complete"]
    await quick_bench.lab.start(spec)
    await until_undecided(quick_bench, spec)
    await decide(quick_bench, spec, Choice.RESEND, step=video_step(2))
    result = final(await quick_bench.ended(spec))
    assert checkpoints(result) == list(spec.checkpoints)
    again = [*spec.prompts[:3], spec.video_prompts[1], spec.video_prompts[2]]
    assert await quick_bench.billed(spec) == again


async def test_a_file_that_is_there_after_all_is_fetched_and_billed_once(
    quick_bench: Bench,
) -> None:
    spec = specs.single("there-after-all")
    await plan(quick_bench, shapes.file_gone(match=spec.video_prompts[0]))
    await quick_bench.lab.start(spec)
    await until_undecided(quick_bench, spec)
    name = await quick_bench.provider_operation(spec.video_prompts[0])
    await decide(quick_bench, spec, Choice.MADE, name=name)
    result = final(await quick_bench.ended(spec))
    assert (result.cost_usd, result.possible_waste_usd) == (SINGLE_USD, FREE)
    assert await quick_bench.billed(spec) == list(spec.prompts)


async def test_a_file_of_another_project_is_fetched_once_the_key_is_mended(
    quick_bench: Bench,
) -> None:
    spec = specs.single("of-another-project")
    await plan(quick_bench, file_of_another(spec, times=1))
    await quick_bench.lab.start(spec)
    undecided = (await until_undecided(quick_bench, spec)).undecided
    assert undecided
    assert "the API refused the file at the download call (HTTP 403)" in undecided.reason
    assert "File abc123" in undecided.reason
    await decide(quick_bench, spec, Choice.GIVE_UP)
    await quick_bench.ended(spec)
    await quick_bench.lab.start(spec)
    await until_undecided(quick_bench, spec)
    name = await quick_bench.provider_operation(spec.video_prompts[0])
    await decide(quick_bench, spec, Choice.MADE, name=name)
    assert (await quick_bench.ended(spec)).status is Status.COMPLETED
    assert await quick_bench.billed(spec) == list(spec.prompts)


# What comes otherwise than by a file of the provider


async def test_a_video_that_comes_in_the_reply_is_kept(quick_bench: Bench) -> None:
    spec = specs.single("in-the-reply")
    await plan(quick_bench, ends(spec, FaultKind.INLINE))
    result = final(await quick_bench.run(spec))
    assert (result.stage, result.cost_usd) == (Stage.COMPLETE, SINGLE_USD)
    assert (quick_bench.artifacts / result.artifacts[1].path).read_bytes()[4:8] == b"ftyp"


async def test_a_failure_that_is_not_charged_is_begun_anew(quick_bench: Bench) -> None:
    spec = specs.single("begun-again")
    rule = ends(spec, FaultKind.FAILED_OPERATION).model_copy(update={"code": 14})
    await plan(quick_bench, rule)
    workflow = await quick_bench.run(spec)
    result = final(workflow)
    assert (result.stage, result.cost_usd, result.possible_waste_usd) == (
        Stage.COMPLETE,
        SINGLE_USD,
        FREE,
    )
    assert [call for call, _ in await quick_bench.requested(spec)].count(Call.VIDEO_START) == 2


async def test_a_failure_that_comes_three_times_is_not_begun_a_fourth_time(
    quick_bench: Bench,
) -> None:
    spec = specs.single("begun-three-times")
    always = ends(spec, FaultKind.FAILED_OPERATION).model_copy(update={"times": None})
    await plan(quick_bench, always)
    await quick_bench.lab.start(spec)
    workflow = await quick_bench.ended(spec, deadline_seconds=60)
    assert "You have not been charged" in workflow.failure_message
    assert [call for call, _ in await quick_bench.requested(spec)].count(Call.VIDEO_START) == 3
    assert final(workflow).cost_usd == Decimal("0.039")

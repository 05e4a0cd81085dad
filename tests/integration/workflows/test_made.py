"""An operator's word that a video was made counts, whatever the one look at it meets."""

from __future__ import annotations

import asyncio

import pytest

from chaos.evidence.history import Status
from tests.chaos.video import specs
from tests.chaos.video.fake_api import shapes
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule, When
from tests.chaos.video.specs import VideoSpec
from tests.integration.workflows.bench import Bench, decide, until_undecided
from tests.integration.workflows.conftest import ASK
from workflows.models import Choice, video_step

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOCATION = {
    "error": {
        "code": 400,
        "status": "FAILED_PRECONDITION",
        "message": "User location is not supported for the API use.",
    }
}
PASSING = {
    "499": shapes.cancelled(Call.POLL),
    "redirect": FaultRule(call=Call.POLL, kind=FaultKind.REDIRECT),
    "redirect-to-nowhere": FaultRule(
        call=Call.POLL, kind=FaultKind.STATUS, status=302, body="moved"
    ),
    "503": FaultRule(call=Call.POLL, kind=FaultKind.STATUS),
    "reset": FaultRule(call=Call.POLL, kind=FaultKind.RESET),
}
"""What another attempt gets over."""


async def undecided(bench: Bench, spec: VideoSpec) -> str:
    """Start a workflow whose reply for its video is lost, until it asks; the name of the video
    that the provider began.
    """
    lost = FaultRule(
        call=Call.VIDEO_START,
        kind=FaultKind.RESET,
        when=When.AFTER_BILLING,
        match=spec.video_prompts[0],
    )
    await bench.lab.api.add_rule(lost)
    await bench.lab.start(spec, task_queue=ASK)
    await until_undecided(bench, spec)
    return await bench.provider_operation(spec.video_prompts[0])


async def starts(bench: Bench, spec: VideoSpec) -> int:
    """How often the provider was asked to begin its video."""
    return [call for call, _ in await bench.requested(spec)].count(Call.VIDEO_START)


async def test_looks_that_fail_for_now_drop_nothing(asking: Bench) -> None:
    async def ends_as(trouble: str, rule: FaultRule) -> tuple[Status, int]:
        spec = specs.single(f"made-and-{trouble}")
        name = await undecided(asking, spec)
        ours = rule.model_copy(update={"match": spec.video_prompts[0]})
        await asking.lab.api.add_rule(ours)
        await decide(asking, spec, Choice.MADE, name=name)
        return (await asking.ended(spec)).status, await starts(asking, spec)

    ends = await asyncio.gather(*(ends_as(*each) for each in PASSING.items()))
    assert dict(zip(PASSING, ends, strict=True)) == dict.fromkeys(PASSING, (Status.COMPLETED, 1))


async def test_a_look_that_is_refused_for_another_reason_is_told_and_nothing_is_sent(
    asking: Bench,
) -> None:
    spec = specs.single("made-and-refused")
    name = await undecided(asking, spec)
    refusal = FaultRule(
        call=Call.POLL,
        kind=FaultKind.STATUS,
        status=400,
        body=LOCATION,
        match=spec.video_prompts[0],
    )
    await asking.lab.api.add_rule(refusal)
    await decide(asking, spec, Choice.MADE, name=name)
    assert "location is not supported" in (await asking.ended(spec)).failure_message
    await asking.lab.start(spec, task_queue=ASK)
    await until_undecided(asking, spec)
    await decide(asking, spec, Choice.MADE, name=name)
    assert (await asking.ended(spec)).status is Status.COMPLETED
    assert await starts(asking, spec) == 1


async def test_a_name_that_the_provider_does_not_know_is_asked_about_again(
    asking: Bench,
) -> None:
    spec = specs.single("made-under-another-name")
    name = await undecided(asking, spec)
    no_name = {"code": 400, "status": "INVALID_ARGUMENT", "message": "Invalid operation id."}
    refusal = FaultRule(
        call=Call.POLL,
        kind=FaultKind.STATUS,
        status=400,
        body={"error": no_name},
        match=spec.video_prompts[0],
    )
    await asking.lab.api.add_rule(refusal)
    for wrong in (f"{name}x", name):  # not found; and, by the rule above, no name at all
        await decide(asking, spec, Choice.MADE, name=wrong)
        await asking.until(
            spec, lambda now: now.undecided is not None and now.hint is None, what="it asks again"
        )
    await decide(asking, spec, Choice.MADE, name=name)
    assert (await asking.ended(spec)).status is Status.COMPLETED


async def test_the_name_of_another_video_is_asked_about_again(asking: Bench) -> None:
    other, spec = specs.single("made-for-another"), specs.single("made-by-a-slip")
    await asking.run(other, task_queue=ASK)
    name = await undecided(asking, spec)
    await decide(
        asking, spec, Choice.MADE, name=await asking.provider_operation(other.video_prompts[0])
    )
    await until_undecided(asking, spec)
    await decide(asking, spec, Choice.MADE, name=name)
    assert (await asking.ended(spec)).status is Status.COMPLETED
    with asking.journal() as journal:
        bought = journal.outcome(spec.workflow_id, video_step(1))
    assert bought
    assert bought.provider_operation == name

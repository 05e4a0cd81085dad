"""The provider is away, or wants to be left alone: operations wait for it by themselves."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chaos.environment.stack import StackSpec
from chaos.evidence.history import Status
from tests.chaos.video import specs
from tests.chaos.video.fake_api import shapes
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule
from tests.chaos.video.fake_api.settings import LatencyChange
from tests.chaos.video.specs import VideoSpec
from tests.integration.conftest import BenchIn
from tests.integration.workflows.bench import Bench, final
from workflows.models import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

OUTAGE_SECONDS = 300.0


def away(call: Call, spec: VideoSpec, **fields: int | None) -> FaultRule:
    """The provider does not take a call."""
    prompt = spec.prompts[0 if call is Call.IMAGE else 1]
    return FaultRule(
        call=call,
        kind=FaultKind.STATUS,
        match=prompt,
        **fields,
    )


async def test_polls_of_which_every_fourth_fails_complete_in_one_attempt(
    bench_in: BenchIn, tmp_path: Path
) -> None:
    spec = specs.single("every-fourth-poll")
    async with bench_in(tmp_path, StackSpec(persistent=False)) as bench:
        control = bench.lab.api
        await control.set_latencies(LatencyChange(video_seconds=4))
        for number in range(1, 40):  # each rule sees only what those before it have let through
            await control.add_rule(away(Call.POLL, spec, skip=3 * number))
        await bench.lab.worker()
        workflow = await bench.run(spec)
        statuses = [rule.hits for rule in await control.rules()]
    assert workflow.status is Status.COMPLETED
    assert sum(statuses) >= 3
    (wait,) = [a for a in workflow.activities if a.kind == "await_video"]
    assert wait.attempt == 1


async def test_a_day_s_quota_is_waited_for_and_not_asked_for_again(quick_bench: Bench) -> None:
    spec = specs.single("day-s-quota")
    rule = shapes.daily_quota(Call.IMAGE, match=spec.character_prompt, times=None)
    await quick_bench.lab.api.add_rule(rule)
    await quick_bench.lab.start(spec)
    progress = await quick_bench.until(spec, lambda now: now.waiting is not None, what="it waits")
    waiting = progress.waiting
    assert waiting
    assert "The day's quota is used up; it is renewed by" in waiting.reason
    now = datetime.now(UTC)
    assert timedelta(0) < waiting.until - now < timedelta(hours=27)
    assert progress.stage is Stage.GENERATING_CHARACTER
    await quick_bench.handle(spec).cancel()
    assert (await quick_bench.ended(spec)).status is Status.CANCELED
    assert len(await quick_bench.requested(spec)) == 1


async def test_no_quota_at_all_is_told_at_once(quick_bench: Bench) -> None:
    spec = specs.single("no-quota")
    rule = shapes.no_quota(Call.IMAGE, match=spec.character_prompt)
    await quick_bench.lab.api.add_rule(rule)
    workflow = await quick_bench.run(spec)
    assert "has no quota for this model: enable billing" in workflow.failure_message
    assert len(await quick_bench.requested(spec)) == 1


@pytest.mark.nightly
@pytest.mark.timeout(1200)
async def test_five_minutes_without_the_provider_end_nothing_and_cost_nothing_twice(
    bench_in: BenchIn, tmp_path: Path
) -> None:
    every = [specs.single(f"five-minutes-{number}") for number in range(8)]
    targets = [None, BreakAt.IMAGE, BreakAt.VIDEO, BreakAt.POLL]
    async with bench_in(tmp_path, StackSpec(persistent=False)) as bench:
        control = bench.lab.api
        # Two stand at each call: before the image, before the start, polling, before the download.
        held = [
            (await bench.set_breakpoint(target, spec.workflow_id), spec)
            for number, spec in enumerate(every)
            if (target := targets[number % 4])
        ]
        await asyncio.gather(*(bench.lab.worker() for _ in range(3)))
        await asyncio.gather(*(bench.lab.start(spec) for _, spec in held))
        for halt, _ in held:
            await halt.reached(30)
        rules = [
            await control.add_rule(
                FaultRule(call=call, kind=FaultKind.STATUS, times=None, match=each)
            )
            for call in Call
            for each in (("five-minutes-2", "five-minutes-6") if call is Call.POLL else ("",))
        ]
        for halt, _ in held:
            await halt.resume()
        await asyncio.gather(
            *(bench.lab.start(spec) for spec in every if spec not in [a for _, a in held])
        )
        await asyncio.sleep(OUTAGE_SECONDS)  # the time itself is what is tried here
        for rule in rules:
            await control.remove_rule(rule)
        ended = await asyncio.gather(*(bench.ended(spec, deadline_seconds=600) for spec in every))
        billed = [await bench.billed(spec) for spec in every]
    assert [workflow.status for workflow in ended] == [Status.COMPLETED] * len(every)
    assert [final(workflow).possible_waste_usd for workflow in ended] == [0] * len(every)
    assert billed == [list(spec.prompts) for spec in every]

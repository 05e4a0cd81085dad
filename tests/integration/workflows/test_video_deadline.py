"""A video that is not finished: the wait is handed over in time, and ends at its deadline."""

from __future__ import annotations

import sys
from decimal import Decimal

import pytest

from chaos.evidence.history import Status
from chaos.process.waiting import wait_until
from tests.chaos.video import specs
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.integration.workflows.bench import DEADLINE_SECONDS, Bench, checkpoints, final, steps

pytestmark = pytest.mark.timeout(120)

HASTY = """
import sys
from datetime import timedelta
from workflows import policies, worker
policies.LONGEST_WAIT = timedelta(seconds=1)
sys.exit(worker.main())
"""
"""A worker that hands a wait over after 1 s instead of 25 min."""


async def test_a_video_that_is_never_finished_is_given_up_at_its_deadline(
    own_bench: Bench,
) -> None:
    spec = specs.single("never-finished")
    await own_bench.set_breakpoint(BreakAt.VIDEO, spec.video_prompts[0])
    await own_bench.lab.worker(settings={"VIDEO_DEADLINE_SECONDS": "2"})
    workflow = await own_bench.run(spec)
    name = await own_bench.provider_operation(spec.video_prompts[0])
    assert workflow.status is Status.FAILED
    assert workflow.failure_message == (
        "video 1 of 1 failed: the provider did not finish it within 2 s (VIDEO_DEADLINE_SECONDS). "
        f"It is paid for, and its name {name} is kept: start the operation again under the same "
        "id to wait for it again, without paying again."
    )
    begun, wait = workflow.activities[-2:]
    assert (begun.kind, wait.kind, wait.attempt) == ("start_video", "await_video", 1)
    assert begun.closed_at
    assert wait.closed_at
    assert (wait.closed_at - begun.closed_at).total_seconds() >= 2
    progress = final(workflow)
    assert checkpoints(progress) == ["started", "character_generated"]
    assert progress.cost_usd == Decimal("1.239")


async def test_a_video_that_was_given_up_is_awaited_anew_without_paying_again(
    own_bench: Bench,
) -> None:
    spec = specs.single("given-up")
    halt = await own_bench.set_breakpoint(BreakAt.VIDEO, spec.video_prompts[0])
    await own_bench.lab.worker(settings={"VIDEO_DEADLINE_SECONDS": "1"})
    assert (await own_bench.run(spec)).status is Status.FAILED
    before = await own_bench.calls()
    await halt.resume()
    workflow = await own_bench.run(spec)
    assert workflow.status is Status.COMPLETED
    assert final(workflow).cost_usd == Decimal("1.239")
    assert await own_bench.billed(spec) == list(spec.prompts)
    assert set((await own_bench.calls())[len(before) :]) == {Call.POLL, Call.DOWNLOAD}


async def test_a_long_wait_is_handed_over_and_uses_up_no_attempt(own_bench: Bench) -> None:
    spec = specs.single("long-rendering")
    halt = await own_bench.set_breakpoint(BreakAt.VIDEO, spec.video_prompts[0])
    await own_bench.lab.worker(argv=(sys.executable, "-c", HASTY))
    await own_bench.lab.start(spec)

    async def was_handed_over() -> bool:
        return steps(await own_bench.workflow(spec)).count("await_video") >= 3

    await wait_until(was_handed_over, what="two hand-overs", deadline_seconds=DEADLINE_SECONDS)
    await halt.resume()
    workflow = await own_bench.ended(spec)
    assert workflow.status is Status.COMPLETED
    assert {activity.attempt for activity in workflow.activities} == {1}
    assert await own_bench.billed(spec) == list(spec.prompts)

"""SIGTERM: a worker finishes what was paid for, hands over what can wait, and exits with 0."""

from __future__ import annotations

import signal

from chaos.evidence.history import Status, Workflow
from chaos.process.child import Child
from chaos.process.waiting import wait_until
from tests.chaos.video import specs
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.fake_api.control import Breakpoint
from tests.chaos.video.specs import VideoSpec
from tests.integration.workflows.bench import DEADLINE_SECONDS, Bench
from workflows import policies

WELL_WITHIN_GRACE_SECONDS = policies.GRACEFUL_SHUTDOWN_TIMEOUT.total_seconds() / 2


async def stop_has_begun(child: Child) -> None:
    """Wait until a worker says that it is stopping."""
    await wait_until(
        lambda: "stopping:" in child.log.read_text(),
        what=f"{child.name} is stopping",
        deadline_seconds=DEADLINE_SECONDS,
    )


async def stop_while_awaiting(bench: Bench, spec: VideoSpec) -> tuple[int, Breakpoint]:
    """Stop the only worker while a video is rendered; its exit code."""
    first = await bench.lab.worker()
    halt = await bench.set_breakpoint(BreakAt.VIDEO, spec.video_prompts[0])
    await bench.lab.start(spec)
    await bench.lab.until_polled(spec.video_prompts[0])
    first.child.send(signal.SIGTERM)
    return await first.child.wait(WELL_WITHIN_GRACE_SECONDS), halt


async def stop_while_paying(bench: Bench, spec: VideoSpec) -> int:
    """Stop the only worker while its image request is on its way; its exit code."""
    first = await bench.lab.worker()
    halt = await bench.set_breakpoint(BreakAt.IMAGE, spec.character_prompt)
    await bench.lab.start(spec)
    await halt.reached(deadline_seconds=DEADLINE_SECONDS)
    first.child.send(signal.SIGTERM)
    await stop_has_begun(first.child)
    await halt.resume()
    return await first.child.wait(WELL_WITHIN_GRACE_SECONDS)


async def completed_by_another(bench: Bench, spec: VideoSpec) -> Workflow:
    await bench.lab.worker()
    workflow = await bench.ended(spec)
    assert workflow.status is Status.COMPLETED
    return workflow


async def test_an_idle_worker_stops_at_once(own_bench: Bench) -> None:
    worker = await own_bench.lab.worker()
    worker.child.send(signal.SIGTERM)
    assert await worker.child.wait(WELL_WITHIN_GRACE_SECONDS) == 0


async def test_a_worker_that_awaits_a_video_stops_and_hands_it_over(own_bench: Bench) -> None:
    spec = specs.single("handed-over")
    exit_code, halt = await stop_while_awaiting(own_bench, spec)
    await halt.resume()
    workflow = await completed_by_another(own_bench, spec)
    waits = [activity for activity in workflow.activities if activity.kind == "await_video"]
    assert exit_code == 0
    # Two waits by two workers, and neither of them a second attempt after a failure.
    assert [wait.attempt for wait in waits] == [1, 1]
    assert len({wait.worker for wait in waits}) == 2
    assert await own_bench.billed(spec) == list(spec.prompts)


async def test_a_worker_that_pays_stops_after_it_has_what_it_paid_for(own_bench: Bench) -> None:
    spec = specs.single("paid-while-stopping")
    exit_code = await stop_while_paying(own_bench, spec)
    assert exit_code == 0
    assert (own_bench.artifacts / spec.workflow_id / "character.png").exists()
    workflow = await completed_by_another(own_bench, spec)
    assert {activity.attempt for activity in workflow.activities} == {1}
    assert await own_bench.billed(spec) == list(spec.prompts)

"""A long series goes on in new runs and loses nothing between them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from chaos.environment.stack import StackSpec
from chaos.evidence.history import Status
from tests.chaos.video import specs
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.fake_api.settings import LatencyChange
from tests.integration.conftest import BenchIn
from tests.integration.workflows.bench import Bench, checkpoints, final, steps
from workflows.models import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

# The server suggests a new run after each video or two, and lets it begin without a wait.
SHORT_RUNS = StackSpec(
    persistent=False,
    dynamic_config={
        "limit.historyCount.suggestContinueAsNew": "20",
        "history.workflowIdReuseMinimalInterval": '"0s"',
    },
)
AT_ONCE = LatencyChange(image_seconds=0, video_start_seconds=0, video_seconds=0)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def short_runs(
    bench_in: BenchIn, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bench]:
    """A stack whose server wants short histories, with a worker."""
    folder: Path = tmp_path_factory.mktemp("short-runs")
    async with bench_in(folder, SHORT_RUNS) as bench:
        await bench.lab.api.set_latencies(AT_ONCE)
        await bench.lab.worker()
        yield bench


async def test_a_series_makes_its_videos_in_order(bench: Bench) -> None:
    spec = specs.series("three", videos=3)
    await bench.lab.start(spec)
    result = final(await bench.ended(spec))
    assert str(result.cost_usd) == "3.639"
    assert checkpoints(result) == list(spec.checkpoints)
    assert await bench.billed(spec) == list(spec.prompts)


async def test_a_long_series_takes_several_runs_and_does_each_step_once(short_runs: Bench) -> None:
    spec = specs.series("long", videos=20)
    workflow = await short_runs.run(spec)
    result = final(workflow)
    assert len(workflow.runs) > 5
    assert workflow.status is Status.COMPLETED
    assert checkpoints(result) == list(spec.checkpoints)
    assert await short_runs.billed(spec) == list(spec.prompts)
    assert str(result.cost_usd) == "24.039"
    video = ["start_video", "await_video", "download_video"]
    assert steps(workflow) == ["open_operation", "generate_character", *(20 * video)]
    assert await short_runs.progress(spec) == result


async def test_a_pause_holds_where_a_new_run_would_begin(short_runs: Bench) -> None:
    spec = specs.series("paused-between-runs", videos=3)
    halt = await short_runs.set_breakpoint(BreakAt.VIDEO, spec.video_prompts[0])
    await short_runs.lab.start(spec)
    await halt.reached(deadline_seconds=10)
    await short_runs.handle(spec).signal("pause")
    await halt.resume()
    paused = await short_runs.until(
        spec,
        lambda progress: "video_1_complete" in checkpoints(progress),
        what="video 1 is complete",
    )
    assert paused.paused
    assert await short_runs.billed(spec) == list(spec.prompts[:2])
    await short_runs.handle(spec).signal("resume")
    workflow = await short_runs.ended(spec)
    assert len(workflow.runs) > 1
    assert checkpoints(final(workflow)) == list(spec.checkpoints)


async def test_a_cancel_reaches_the_newest_run(short_runs: Bench) -> None:
    spec = specs.series("canceled-in-a-later-run", videos=5)
    halt = await short_runs.set_breakpoint(BreakAt.VIDEO, spec.video_prompts[3])
    await short_runs.lab.start(spec)
    await halt.reached(deadline_seconds=10)
    await short_runs.handle(spec).cancel()
    await halt.resume()
    workflow = await short_runs.ended(spec)
    progress = await short_runs.progress(spec)
    assert (workflow.status, progress.stage) == (Status.CANCELED, Stage.CANCELED)
    assert checkpoints(progress) == list(spec.checkpoints[:6])

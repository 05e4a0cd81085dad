"""Worker Versioning: two builds side by side, of which each workflow has the one that it should."""

from __future__ import annotations

import time
from collections.abc import Sequence

from chaos.evidence.history import Status, Workflow
from tests.chaos.video import specs
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.integration.versioning import make_current, version
from tests.integration.workflows.bench import Bench
from workflows.policies import TASK_QUEUE
from workflows.service.temporal import is_polled


def builds(workflow: Workflow) -> Sequence[str]:
    """Which builds completed its workflow tasks, each once, in order."""
    found = [
        event.workflow_task_completed_event_attributes.deployment_version.build_id
        for event in workflow.events
        if event.HasField("workflow_task_completed_event_attributes")
    ]
    return list(dict.fromkeys(found))


async def serves(bench: Bench) -> bool:
    """Whether the HTTP service says that an operation which starts now would find a worker."""
    return await is_polled(bench.lab.client, TASK_QUEUE, time.time())


async def test_a_single_stays_on_its_build_and_a_series_goes_on_under_the_current_one(
    own_bench: Bench,
) -> None:
    single, series = specs.single("pinned"), specs.series("upgraded", videos=1)
    videos = [
        await own_bench.set_breakpoint(BreakAt.VIDEO, spec.video_prompts[0])
        for spec in (single, series)
    ]
    await own_bench.lab.worker(settings=version("1.0"))
    assert not await serves(own_bench)  # nothing is routed to it yet
    await make_current(own_bench, "1.0")
    assert await serves(own_bench)
    for spec in (single, series):
        await own_bench.lab.start(spec)
        await own_bench.lab.until_polled(spec.video_prompts[0])
    await own_bench.lab.worker(settings=version("1.1"))
    await make_current(own_bench, "1.1")
    for video in videos:
        await video.resume()

    stayed, moved = await own_bench.ended(single), await own_bench.ended(series)

    assert (stayed.status, moved.status) == (Status.COMPLETED, Status.COMPLETED)
    assert builds(stayed) == ["1.0"]
    assert builds(moved) == ["1.0", "1.1"]
    assert await own_bench.billed(single) == list(single.prompts)
    assert await own_bench.billed(series) == list(series.prompts)

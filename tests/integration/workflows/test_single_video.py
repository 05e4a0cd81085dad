"""A single video: its progress, result, files, cost and history."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import pytest_asyncio

from chaos.evidence.history import Status, Workflow
from tests.chaos.video import specs
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.specs import VideoSpec
from tests.integration.workflows.bench import Bench, checkpoints, final
from workflows.models import Progress, Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


@dataclass(frozen=True)
class Completed:
    """A single video that ran undisturbed."""

    spec: VideoSpec
    before: datetime
    workflow: Workflow
    result: Progress
    after: datetime


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def completed(bench: Bench) -> Completed:
    spec = specs.single("undisturbed")
    before = datetime.now(UTC)
    await bench.lab.start(spec)
    workflow = await bench.ended(spec)
    return Completed(spec, before, workflow, final(workflow), datetime.now(UTC))


async def test_progress_is_told_while_the_character_is_made(bench: Bench) -> None:
    spec = specs.single("watched-at-its-character")
    halt = await bench.set_breakpoint(BreakAt.IMAGE, spec.character_prompt)
    await bench.lab.start(spec)
    await halt.reached(deadline_seconds=10)
    progress = await bench.progress(spec)
    await halt.resume()
    await bench.ended(spec)
    assert (progress.stage, progress.progress_percent) == (Stage.GENERATING_CHARACTER, 0)
    assert checkpoints(progress) == ["started"]
    assert progress.cost_usd == 0


async def test_progress_is_told_while_the_video_is_made(bench: Bench) -> None:
    spec = specs.single("watched-at-its-video")
    halt = await bench.set_breakpoint(BreakAt.VIDEO, spec.video_prompts[0])
    await bench.lab.start(spec)
    await bench.lab.until_polled(spec.video_prompts[0])
    progress = await bench.progress(spec)
    await halt.resume()
    await bench.ended(spec)
    assert (progress.stage, progress.progress_percent) == (Stage.AWAITING_VIDEO, 50)
    assert progress.video == 1
    assert checkpoints(progress) == ["started", "character_generated"]
    assert progress.cost_usd == Decimal("1.239")


async def test_the_result_says_that_it_is_complete(bench: Bench, completed: Completed) -> None:
    assert completed.workflow.status is Status.COMPLETED
    result = completed.result
    assert (result.operation_id, result.stage) == ("undisturbed", Stage.COMPLETE)
    assert (result.progress_percent, result.video) == (100, None)
    assert (result.paused, result.failure) == (False, None)
    assert await bench.progress(completed.spec) == result


async def test_each_checkpoint_has_its_time_and_the_cost_up_to_it(
    bench: Bench, completed: Completed
) -> None:
    points = completed.result.checkpoints
    assert [(point.name, str(point.cost_usd)) for point in points] == [
        ("started", "0"),
        ("character_generated", "0.039"),
        ("video_generated", "1.239"),
        ("complete", "1.239"),
    ]
    times = [completed.before, *(point.at for point in points), completed.after]
    assert times == sorted(times)
    assert completed.result.cost_usd == Decimal("1.239")
    assert await bench.billed(completed.spec) == list(completed.spec.prompts)


async def test_its_files_are_there_as_the_result_tells_and_no_others(
    bench: Bench, completed: Completed
) -> None:
    told = {artifact.path: artifact.sha256 for artifact in completed.result.artifacts}
    assert list(told) == ["undisturbed/character.png", "undisturbed/video-001.mp4"]
    there = {path: hashlib.sha256((bench.artifacts / path).read_bytes()) for path in told}
    assert {path: digest.hexdigest() for path, digest in there.items()} == told
    folder = bench.artifacts / completed.spec.workflow_id
    assert sorted(path.name for path in folder.iterdir()) == [
        ".character.sent.note",
        ".video-001.note",
        ".video-001.sent.note",
        "character.png",
        "video-001.mp4",
    ]


async def test_a_history_is_small_and_has_no_image(bench: Bench, completed: Completed) -> None:
    image = (bench.artifacts / completed.result.artifacts[0].path).read_bytes()
    history = b"".join(event.SerializeToString() for event in completed.workflow.events)
    assert b"undisturbed/character.png" in history
    assert image not in history
    assert base64.b64encode(image) not in history
    assert len(history) < 20_000

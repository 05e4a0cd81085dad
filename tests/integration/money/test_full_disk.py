"""A disk that is full: nothing is paid for that cannot be kept, and what is paid for waits.

`tests/chaos/video/scenarios/disk_full.py` has several of these moments at once; here each stands
alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chaos.environment.disk import FOLDER, SmallDisk, mounting, why_there_are_none
from chaos.environment.stack import StackSpec
from chaos.evidence.history import Status
from chaos.faults import disk_of
from chaos.process.child import Child
from chaos.process.waiting import wait_until
from tests.chaos.video import specs
from tests.chaos.video.fake_api.breakpoints import BreakAt, BreakpointSpec
from tests.chaos.video.fake_api.rules import When
from tests.chaos.video.specs import VideoSpec
from tests.chaos.video.target import VIDEO
from tests.integration.conftest import BenchIn
from tests.integration.workflows.bench import DEADLINE_SECONDS, Bench, final

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(why_there_are_none() is not None, reason=f"{why_there_are_none()}"),
]


@dataclass(frozen=True)
class FullWorker:
    """A worker with a small disk."""

    bench: Bench
    child: Child
    disk: SmallDisk

    async def says(self, words: str) -> None:
        await wait_until(
            lambda: words in self.child.log.read_text(),
            what=f"the worker says {words!r}",
            deadline_seconds=DEADLINE_SECONDS,
        )


async def worker_on(bench: Bench, setting: str, value: str) -> FullWorker:
    folder = bench.lab.stack.placement.scratch / FOLDER
    worker = await bench.lab.worker(
        argv=mounting(folder, VIDEO.worker), settings={setting: value.format(folder=folder)}
    )
    return FullWorker(bench, worker.child, disk_of(bench.lab, worker.child.name))


@pytest.fixture
async def bench(bench_in: BenchIn, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench_in(tmp_path, StackSpec(persistent=False)) as bench:
        yield bench


@pytest.fixture
async def artifacts_disk(bench: Bench) -> FullWorker:
    return await worker_on(bench, "ARTIFACTS_DIR", "{folder}")


@pytest.fixture
async def journal_disk(bench: Bench) -> FullWorker:
    return await worker_on(bench, "PAYMENT_JOURNAL_URL", "sqlite:///{folder}/paid.db")


async def completes_when_started_again(bench: Bench, spec: VideoSpec) -> None:
    await bench.lab.start(spec)
    workflow = await bench.ended(spec)
    assert workflow.status is Status.COMPLETED
    assert await bench.billed(spec) == list(spec.prompts)


async def test_nothing_is_paid_for_when_the_artifacts_disk_is_full(
    artifacts_disk: FullWorker,
) -> None:
    bench, spec = artifacts_disk.bench, specs.single("no-room")
    artifacts_disk.disk.fill()
    await bench.lab.start(spec)
    workflow = await bench.ended(spec)

    assert workflow.status is Status.FAILED
    assert "cannot be written to (No space left on device); make room" in workflow.failure_message
    assert await bench.requested(spec) == []
    artifacts_disk.disk.make_room()
    await completes_when_started_again(bench, spec)


@pytest.mark.parametrize("target", [BreakAt.IMAGE, BreakAt.VIDEO_START])
async def test_a_reply_that_finds_the_disk_full_waits_for_room(
    target: BreakAt, artifacts_disk: FullWorker
) -> None:
    bench, spec = artifacts_disk.bench, specs.single(f"room-later-{target}")
    halt = await bench.lab.api.set_breakpoint(BreakpointSpec(call=target, when=When.AFTER_BILLING))
    await bench.lab.start(spec)
    await halt.reached(DEADLINE_SECONDS)
    artifacts_disk.disk.fill()
    await halt.resume()
    await artifacts_disk.says("is paid for and waits to be stored")
    artifacts_disk.disk.make_room()
    workflow = await bench.ended(spec)

    assert workflow.status is Status.COMPLETED
    assert await bench.billed(spec) == list(spec.prompts)
    assert final(workflow).possible_waste_usd == 0


async def test_nothing_is_paid_for_when_the_journals_disk_is_full(journal_disk: FullWorker) -> None:
    bench, spec = journal_disk.bench, specs.single("no-room-for-the-journal")
    journal_disk.disk.fill()
    await bench.lab.start(spec)
    await journal_disk.says("no room left on its disk; make room")
    assert await bench.requested(spec) == []
    journal_disk.disk.make_room()
    workflow = await bench.ended(spec)

    # The retry policy's own waits were enough here: a full disk is no lasting fault.
    assert workflow.status is Status.COMPLETED
    assert await bench.billed(spec) == list(spec.prompts)


async def test_an_outcome_that_finds_the_journals_disk_full_waits_for_room(
    journal_disk: FullWorker,
) -> None:
    bench, spec = journal_disk.bench, specs.single("room-for-the-journal-later")
    halt = await bench.lab.api.set_breakpoint(
        BreakpointSpec(call=BreakAt.VIDEO_START, when=When.AFTER_BILLING)
    )
    await bench.lab.start(spec)
    await halt.reached(DEADLINE_SECONDS)
    journal_disk.disk.fill()
    await halt.resume()
    await journal_disk.says("is paid for and waits to be stored")
    journal_disk.disk.make_room()
    workflow = await bench.ended(spec)

    assert workflow.status is Status.COMPLETED
    assert await bench.billed(spec) == list(spec.prompts)
    assert final(workflow).possible_waste_usd == 0

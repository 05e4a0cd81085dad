"""Fixtures: a running stack with a worker for all tests, or a test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from chaos.environment.stack import StackSpec
from tests.chaos.video.fake_api.settings import LatencyChange
from tests.integration.conftest import BenchIn
from tests.integration.workflows.bench import Bench

ASK = "ask"
"""The task queue of a worker that asks before anything is sent again."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bench(
    bench_in: BenchIn, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bench]:
    """One stack and worker for all tests that leave them as they are."""
    folder = tmp_path_factory.mktemp("bench")
    async with bench_in(folder, StackSpec(persistent=False)) as bench:
        await bench.lab.worker()
        yield bench


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def quick_bench(
    bench_in: BenchIn, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bench]:
    """One stack and worker whose provider takes no time and where an id may be used again."""
    folder = tmp_path_factory.mktemp("quick-bench")
    reuse = {"history.workflowIdReuseMinimalInterval": '"0s"'}
    async with bench_in(folder, StackSpec(persistent=False, dynamic_config=reuse)) as bench:
        at_once = LatencyChange(image_seconds=0, video_start_seconds=0, video_seconds=0)
        await bench.lab.api.set_latencies(at_once)
        await bench.lab.worker()
        yield bench


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def asking(quick_bench: Bench) -> Bench:
    """The quick bench, with a worker that asks before anything is sent again."""
    await quick_bench.lab.worker(task_queue=ASK, settings={"IN_DOUBT_POLICY": "ask"})
    return quick_bench


@pytest.fixture
async def own_bench(bench_in: BenchIn, tmp_path: Path) -> AsyncIterator[Bench]:
    """A stack of the test's own, without a worker."""
    async with bench_in(tmp_path, StackSpec(persistent=False)) as bench:
        yield bench

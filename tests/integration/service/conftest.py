"""Fixtures: a running service, as a client sees it, before a real stack with a worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest
import pytest_asyncio

from chaos.environment.stack import StackSpec
from chaos.process.child import Child
from chaos.process.ports import Port
from chaos.process.reaper import Reaper
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.fake_api.control import Breakpoint
from tests.chaos.video.fake_api.settings import LatencyChange
from tests.chaos.video.specs import VideoSpec
from tests.integration.conftest import BenchIn
from tests.integration.service.client import ServiceClient, service_child
from tests.integration.workflows.bench import Bench

READY_SECONDS = 30.0

QUICK = {
    "history.workflowIdReuseMinimalInterval": '"0s"',
    # A series continues as new after each video or two.
    "limit.historyCount.suggestContinueAsNew": "20",
}


@dataclass(frozen=True)
class Served:
    """A stack and a service before it."""

    bench: Bench
    api: ServiceClient
    child: Child

    async def held_at_its_image(self, spec: VideoSpec) -> Breakpoint:
        """Start an operation whose image request is held at the provider."""
        halt = await self.bench.set_breakpoint(BreakAt.IMAGE, spec.character_prompt)
        await self.api.start(spec)
        await halt.reached(deadline_seconds=10)
        return halt


Serve = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture(scope="session")
def serve(reaper: Reaper) -> Serve:
    """Starts a service before a bench, with these settings, and waits until it answers."""

    @asynccontextmanager
    async def serving(
        bench: Bench, name: str = "service", **settings: str
    ) -> AsyncIterator[Served]:
        port = Port()
        child = service_child(bench, reaper.run_tag, name, port, settings)
        token = settings.get("SERVICE_TOKEN")
        api = ServiceClient(f"http://{port.address}", token)
        try:
            await child.start_ready(api.lives, what=f"{name} lives", deadline_seconds=READY_SECONDS)
            yield Served(bench, api, child)
        finally:
            await api.aclose()
            await child.discard()
            port.release()

    return serving


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def served(
    bench_in: BenchIn, serve: Serve, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    """One stack for all tests that leave it as it is: its worker asks about calls in doubt."""
    folder = tmp_path_factory.mktemp("service")
    async with bench_in(folder, StackSpec(persistent=False, dynamic_config=QUICK)) as bench:
        at_once = LatencyChange(image_seconds=0, video_start_seconds=0, video_seconds=0)
        await bench.lab.api.set_latencies(at_once)
        await bench.lab.worker(settings={"IN_DOUBT_POLICY": "ask"})
        async with serve(bench) as served:
            yield served

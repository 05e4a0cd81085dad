"""Real workers behind the proxy: between them and a Temporal server, and the paid API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from chaos.environment.stack import StackSpec
from chaos.evidence.history import Status
from chaos.network.journal import Effect, Hit, Opened
from chaos.network.toxics import AnyToxic, BlackHole, Down, Latency, ResetPeer, Stream
from chaos.process.reaper import Reaper
from chaos.process.waiting import wait_until
from tests.chaos.video import specs
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.integration.conftest import BenchIn
from tests.integration.network.bed import DEADLINE_SECONDS, ProxyProcess, running
from tests.integration.workflows.bench import Bench, steps

pytestmark = pytest.mark.timeout(120)

FAULT_SECONDS = 4.0
"""How long a fault is left on, once it has hit: longer than a worker takes to try again, shorter
than its heartbeat timeout.
"""

IMAGE = "generate_character"


@pytest.fixture
async def bench(bench_in: BenchIn, tmp_path: Path) -> AsyncIterator[Bench]:
    """A stack without workers."""
    async with bench_in(tmp_path, StackSpec(persistent=False)) as bench:
        yield bench


@asynccontextmanager
async def before(address: str, reaper: Reaper, folder: Path) -> AsyncIterator[ProxyProcess]:
    (folder / "proxy").mkdir()
    async with running(folder / "proxy", reaper.run_tag, address) as proxy:
        yield proxy


def hits(proxy: ProxyProcess) -> list[Hit]:
    return [record for record in proxy.records() if isinstance(record, Hit)]


def connections_of(pid: int) -> set[str]:
    """The addresses of a process's own ends."""
    found = psutil.Process(pid).net_connections(kind="tcp")
    return {f"{one.laddr.ip}:{one.laddr.port}" for one in found}


async def has_hit(proxy: ProxyProcess) -> None:
    await wait_until(
        lambda: bool(hits(proxy)), what="the fault hits", deadline_seconds=DEADLINE_SECONDS
    )


async def test_a_worker_finishes_after_a_black_hole_before_its_server(
    bench: Bench, reaper: Reaper, tmp_path: Path
) -> None:
    asked = specs.single("behind-a-black-hole")
    async with before(bench.lab.stack.server.address, reaper, tmp_path) as proxy:
        worker = await bench.lab.worker(settings={"TEMPORAL_ADDRESS": proxy.port.address})
        mine = connections_of(worker.child.pid)
        hold = await bench.set_breakpoint(BreakAt.IMAGE, asked.character_prompt)
        await bench.lab.start(asked)
        await hold.reached(deadline_seconds=DEADLINE_SECONDS)
        await proxy.control.add(BlackHole(stream=Stream.BOTH))
        await hold.resume()
        await has_hit(proxy)
        await asyncio.sleep(FAULT_SECONDS)
        meanwhile = await bench.workflow(asked)
        await proxy.control.clear()
        workflow = await bench.ended(asked)
        effects = [record for record in proxy.records() if isinstance(record, Effect)]
        clients = {r.connection: r.client for r in proxy.records() if isinstance(r, Opened)}

    # The image was made, and nobody could be told.
    assert [a.kind for a in meanwhile.activities if a.closed_at is None] == [IMAGE]
    assert {clients[hit.connection] for hit in hits(proxy)} <= mine
    assert sum(effect.held_bytes for effect in effects) > 0
    assert workflow.status is Status.COMPLETED
    assert {activity.attempt for activity in workflow.activities} == {1}
    assert steps(workflow).count(IMAGE) == 1
    assert await bench.billed(asked) == list(asked.prompts)


@pytest.mark.parametrize(
    "toxic",
    [
        Down(),
        ResetPeer(stream=Stream.DOWNSTREAM, wait_for_data=False),
        Latency(stream=Stream.BOTH, latency_seconds=0.2, jitter_seconds=0.1),
    ],
    ids=lambda toxic: toxic.type,
)
async def test_a_worker_outlives_a_bad_network_before_its_server(
    bench: Bench, reaper: Reaper, tmp_path: Path, toxic: AnyToxic
) -> None:
    asked = specs.single("behind-a-bad-network")
    async with before(bench.lab.stack.server.address, reaper, tmp_path) as proxy:
        await bench.lab.worker(settings={"TEMPORAL_ADDRESS": proxy.port.address})
        hold = await bench.set_breakpoint(BreakAt.IMAGE, asked.character_prompt)
        await bench.lab.start(asked)
        await hold.reached(deadline_seconds=DEADLINE_SECONDS)
        async with proxy.control.applied(toxic):
            await hold.resume()
            await has_hit(proxy)
            await asyncio.sleep(FAULT_SECONDS)
        workflow = await bench.ended(asked)

    assert workflow.status is Status.COMPLETED
    assert await bench.billed(asked) == list(asked.prompts)


async def test_a_worker_finishes_after_a_black_hole_before_the_paid_api(
    bench: Bench, reaper: Reaper, tmp_path: Path
) -> None:
    asked = specs.single("cut-off-from-the-api")
    async with before(bench.lab.stack.services["api"].port.address, reaper, tmp_path) as proxy:
        url = f"http://{proxy.port.address}"
        await bench.lab.worker(settings={"GOOGLE_GEMINI_BASE_URL": url})
        hold = await bench.set_breakpoint(BreakAt.VIDEO, asked.video_prompts[0])
        await bench.lab.start(asked)
        await bench.lab.until_polled(asked.video_prompts[0])
        await proxy.control.add(BlackHole(stream=Stream.BOTH))
        await has_hit(proxy)
        await hold.resume()
        await asyncio.sleep(FAULT_SECONDS)
        waiting = await bench.workflow(asked)
        await proxy.control.clear()
        workflow = await bench.ended(asked)

    assert waiting.status is Status.RUNNING
    assert workflow.status is Status.COMPLETED
    assert await bench.billed(asked) == list(asked.prompts)

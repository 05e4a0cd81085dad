"""The Temporal server is away in the very moment in which a worker dies."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from chaos.environment.stack import StackSpec
from chaos.evidence.history import Status
from chaos.process.waiting import wait_until
from tests.chaos.video import specs
from tests.integration.conftest import BenchIn
from tests.integration.fleet.supervised import WAIT, ends, only, supervised, was_failed_over
from tests.integration.workflows.bench import Bench

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(180),
]

SDK_TRIES_FOR = timedelta(seconds=13)
"""A single call, of which it gives up after 10 s. Well below the heartbeat timeout."""


@pytest_asyncio.fixture(loop_scope="session")
async def durable(bench_in: BenchIn, tmp_path: Path) -> AsyncIterator[Bench]:
    """A stack of the test's own, whose server may be restarted."""
    async with bench_in(tmp_path, StackSpec(persistent=True)) as bench:
        yield bench


async def test_a_supervisor_tries_until_the_server_is_back_and_then_fails_over(
    durable: Bench,
) -> None:
    spec = specs.single("killed-without-a-server")
    server = durable.lab.stack.server
    async with supervised(durable, 2, name=spec.workflow_id) as made:
        halt, pid = await made.awaiting(spec)
        await durable.lab.signal(server.child, signal.SIGKILL)
        killed_at = made.kill(pid)
        await wait_until(
            lambda: datetime.now(UTC) - killed_at > SDK_TRIES_FOR,
            what="the outage is longer than the SDK tries by itself",
            deadline_seconds=60,
        )
        assert pid not in {lost.pid for lost in made.losses}
        assert len(made.supervisor.pids) == 1  # a successor could do nothing yet
        await server.start()
        await made.supervisor.until_complete(durable.lab.client)
        lost = await made.has_lost(pid)
        await halt.resume()
        workflow = await ends(durable, spec, 60)

        assert (lost.failed_over, lost.left) == (1, 0)
        wait = only(workflow, WAIT)
        assert workflow.status is Status.COMPLETED
        assert (wait.attempt, was_failed_over(wait)) == (2, True)
        assert await durable.billed(spec) == list(spec.prompts)

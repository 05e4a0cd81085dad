"""Fixtures: one stack without workers, where each test has supervisors on queues of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from chaos.environment.stack import StackSpec
from tests.integration.conftest import BenchIn
from tests.integration.workflows.bench import Bench


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bench(
    bench_in: BenchIn, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bench]:
    """A server and a provider, shared by all tests that leave both as they are."""
    spec = StackSpec(persistent=False)
    async with bench_in(tmp_path_factory.mktemp("bench"), spec) as bench:
        yield bench

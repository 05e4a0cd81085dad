"""One server and one wire for the tests of a file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from chaos.environment.server import TemporalServer
from chaos.environment.temporal import answers, register
from chaos.process.reaper import Reaper
from chaos.process.waiting import wait_until
from tests.integration.wire.bed import (
    DEADLINE_SECONDS,
    Bed,
    Lane,
    WireProcess,
    bed_in,
    lane_of,
    start_server,
    start_wire,
)

LaneOf = Callable[..., AbstractAsyncContextManager[Lane]]
NewNamespace = Callable[[], Awaitable[str]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_bed(
    reaper: Reaper, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bed]:
    async with bed_in(tmp_path_factory.mktemp("wire"), reaper.run_tag) as bed:
        yield bed


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(module_bed: Bed, temporal_cli: Path) -> TemporalServer:
    return await start_server(module_bed, temporal_cli)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def process(module_bed: Bed) -> AsyncIterator[WireProcess]:
    process = await start_wire(module_bed)
    yield process
    await process.wire.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def lane(new_lane: LaneOf) -> AsyncIterator[Lane]:
    """In a namespace of its own, of which its worker knows nothing."""
    async with new_lane() as lane:
        yield lane


@pytest.fixture
def new_namespace(server: TemporalServer) -> NewNamespace:
    async def make() -> str:
        name = f"lane-{uuid4().hex[:8]}"

        async def is_there() -> bool:
            return await register(server, name) and await answers(replace(server, namespace=name))

        await wait_until(is_there, what="the namespace", deadline_seconds=DEADLINE_SECONDS)
        return name

    return make


@pytest.fixture
def new_lane(process: WireProcess, server: TemporalServer, new_namespace: NewNamespace) -> LaneOf:
    """A lane, in a namespace of its own."""

    @asynccontextmanager
    async def make(**settings: str) -> AsyncIterator[Lane]:
        namespace = await new_namespace()
        async with lane_of(process, server.address, namespace=namespace, settings=settings) as lane:
            yield lane

    return make

"""A running proxy for the tests of a file."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from chaos.process.reaper import Reaper
from tests.integration.network.bed import Bed, ProxyProcess, running


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    """Where the proxy goes: the test itself."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        listener.setblocking(False)
        yield listener


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(
    reaper: Reaper, listener: socket.socket, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ProxyProcess]:
    """One process for all tests of a file; each leaves it healthy."""
    upstream = "127.0.0.1:{}".format(*listener.getsockname()[1:])
    async with running(tmp_path_factory.mktemp("proxy"), reaper.run_tag, upstream) as proxy:
        yield proxy


@pytest_asyncio.fixture(loop_scope="module")
async def bed(proxy: ProxyProcess, listener: socket.socket) -> AsyncIterator[Bed]:
    """The proxy as one test sees it."""
    bed = Bed(proxy, listener)
    yield bed
    await bed.quiet()

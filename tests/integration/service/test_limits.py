"""Clients that mean harm: what they send costs little, and `/health` is answered all the while."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress

import psutil
import pytest

from tests.integration.service.client import slowest_health
from tests.integration.service.conftest import Served

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(180),
]

HOST = b"Host: 127.0.0.1\r\n"
POST = b"POST /api/template-workflow HTTP/1.1\r\nContent-Type: application/json\r\n" + HOST
ONES = (
    b'{"templateType": "series", "config": {"characterPrompt": "a", "videoPrompts": ['
    + b"1," * 1_400_000
    + b"1]}}"
)
MOST_BYTES = 600 * 1024 * 1024
Attack = Callable[[int], Coroutine[None, None, bytes]]


async def talk(port: int, first: bytes, drop: bytes = b"") -> bytes:
    """Send, then a drop of it every half second; the status of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    told = b""
    with suppress(ConnectionError):
        writer.write(first)
        while not told:
            writer.write(drop)
            with suppress(TimeoutError):
                told = await asyncio.wait_for(reader.readline(), 0.5 if drop else 60)
                break
    writer.close()
    return told[9:12]


def with_length(size: int) -> bytes:
    return POST + b"Content-Length: %d\r\n\r\n" % size


ATTACKS: dict[str, tuple[int, bytes, bytes, set[bytes]]] = {
    "a-million-ones": (40, with_length(len(ONES)) + ONES, b"", {b"422", b"503", b""}),
    "slow-heads": (200, b"GET /health HTTP/1.1\r\n" + HOST + b"X: ", b"x", {b"408"}),
    "slow-bodies": (200, with_length(2_900_000), b" ", {b"408"}),
    "slow-large-bodies": (200, with_length(2_900_000) + b" " * 2_000_000, b" ", {b"408", b"503"}),
    "too-large": (200, with_length(10**10), b"", {b"413"}),
    "tiny_pieces": (
        20,
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 50_000,
        b"",
        {b"400", b""},
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_health_is_answered_within_a_second_and_memory_is_bounded(
    served: Served, attack: str
) -> None:
    count, first, drop, wanted = ATTACKS[attack]
    port = int(served.api.url.rpartition(":")[2])
    async with slowest_health(served.api.url) as healths:
        told = await asyncio.gather(*(talk(port, first, drop) for _ in range(count)))
    served.bench.lab.note(f"{attack}: {Counter(told)}, health {healths[0]:.3f} s")
    assert set(told) <= wanted
    assert 0 < healths[0] < 1
    assert psutil.Process(served.child.pid).memory_info().rss < MOST_BYTES

"""Much data and many connections."""

from __future__ import annotations

import asyncio
import zlib

import psutil
import pytest

from chaos.network.journal import Effect, Hit
from chaos.network.line import CAPACITY_BYTES
from chaos.network.toxics import BlackHole, Stream
from chaos.process.waiting import wait_until
from tests.integration.network.bed import DEADLINE_SECONDS, Bed, End

pytestmark = pytest.mark.asyncio(loop_scope="module")

BLOCK = bytes(range(256)) * 4096
BLOCKS = 200
"""Of 1 MiB each."""
KERNEL_BYTES = 32 << 20
"""What the kernel may hold in the four socket buffers between the two ends."""
CONNECTIONS = 200


async def pour(end: End) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(BLOCKS):
        await loop.sock_sendall(end.sock, BLOCK)


async def test_a_slow_reader_slows_the_sender_and_fills_no_memory(bed: Bed) -> None:
    pair = await bed.pair()
    process = psutil.Process(bed.proxy.child.pid)
    before_bytes = process.memory_info().rss
    pouring = asyncio.create_task(pour(pair.server))
    seen: list[int] = []

    async def stands_still() -> bool:
        (status,) = await bed.network.connections()
        seen.append(status.downstream.received_bytes)
        return len(seen) > 20 and seen[-1] == seen[-20] > 0

    await wait_until(stands_still, what="the sender stands", deadline_seconds=DEADLINE_SECONDS)
    (status,) = await bed.network.connections()
    assert status.downstream.held_bytes < 2 * CAPACITY_BYTES
    assert status.downstream.received_bytes < KERNEL_BYTES
    highest_bytes = process.memory_info().rss
    crc, left_bytes = 0, BLOCKS * len(BLOCK)
    while left_bytes:
        data = await pair.client.read()
        left_bytes -= len(data)
        crc = zlib.crc32(data, crc)
        highest_bytes = max(highest_bytes, process.memory_info().rss)
    await pouring
    assert crc == zlib.crc32(BLOCK * BLOCKS)
    assert highest_bytes - before_bytes < 16 << 20


async def test_many_connections_are_all_hit_at_once_and_all_healed(bed: Bed) -> None:
    pairs = [await bed.pair() for _ in range(CONNECTIONS)]
    texts = [f"from {number:03}".encode() for number in range(CONNECTIONS)]
    await asyncio.gather(*(pair.trip_seconds(upstream=True) for pair in pairs))
    applied = await bed.network.add(BlackHole(stream=Stream.BOTH))
    assert len(applied.connections) == CONNECTIONS
    await asyncio.gather(*(p.client.send(text) for p, text in zip(pairs, texts, strict=True)))
    silent = await asyncio.gather(*(pair.server.hears_nothing(0.5) for pair in pairs))
    assert all(silent)
    assert {hit.connection for hit in bed.all_of(Hit)} == set(applied.connections)
    await bed.network.clear()
    heard = await asyncio.gather(*(pair.server.receive(8) for pair in pairs))
    assert heard == texts
    assert [effect.held_bytes for effect in bed.all_of(Effect)] == [8] * CONNECTIONS

"""Every toxic between real sockets, put on while a connection is established."""

from __future__ import annotations

import asyncio
import ssl
import time

import pytest
import trustme

from chaos.network.toxics import (
    Bandwidth,
    BlackHole,
    Down,
    HalfOpen,
    Latency,
    LimitData,
    ResetPeer,
    Side,
    Slicer,
    SlowClose,
    Stream,
    Timeout,
)
from tests.integration.network.bed import Bed

pytestmark = pytest.mark.asyncio(loop_scope="module")

GENEROUS_SECONDS = 1.0
"""How late a busy machine may be."""


async def test_without_a_fault_all_passes(bed: Bed) -> None:
    pair = await bed.pair()
    await pair.trip_seconds(upstream=True, data=bytes(range(256)) * 400)
    await pair.trip_seconds(upstream=False, data=bytes(range(256)) * 400)
    pair.client.finish()
    assert await pair.server.is_closed()
    await pair.trip_seconds(upstream=False)  # the other direction is still open
    pair.server.finish()
    assert await pair.client.is_closed()


@pytest.mark.parametrize("side", Side)
async def test_a_reset_passes_as_a_reset(bed: Bed, side: Side) -> None:
    pair = await bed.pair()
    left, other = (pair.client, pair.server)
    if side is Side.SERVER:
        left, other = other, left
    left.reset()
    assert await other.is_reset()


async def test_tls_passes_untouched(bed: Bed) -> None:
    authority = trustme.CA()
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(theirs)
    authority.configure_trust(ours)
    pair = await bed.pair()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    (transport, _), (_, writer) = await asyncio.gather(
        asyncio.get_running_loop().connect_accepted_socket(
            lambda: protocol, pair.server.sock, ssl=theirs
        ),
        asyncio.open_connection(sock=pair.client.sock, ssl=ours, server_hostname="localhost"),
    )
    writer.write(b"secret")
    assert await reader.readexactly(6) == b"secret"
    writer.close()
    await writer.wait_closed()
    transport.close()


@pytest.mark.parametrize("stream", [Stream.UPSTREAM, Stream.DOWNSTREAM])
async def test_latency_is_added_in_its_direction_only(bed: Bed, stream: Stream) -> None:
    pair = await bed.pair()
    slow_upstream = stream is Stream.UPSTREAM
    async with bed.network.applied(Latency(stream=stream, latency_seconds=0.4)):
        slow = [await pair.trip_seconds(upstream=slow_upstream) for _ in range(3)]
        quick = [await pair.trip_seconds(upstream=not slow_upstream) for _ in range(3)]
    healed = [await pair.trip_seconds(upstream=slow_upstream) for _ in range(3)]
    assert min(slow) >= 0.4
    assert min(slow) < 0.6
    assert min(quick) < 0.2
    assert min(healed) < 0.2


async def test_jitter_stays_within_its_bounds_and_varies(bed: Bed) -> None:
    pair = await bed.pair()
    toxic = Latency(stream=Stream.UPSTREAM, latency_seconds=0.1, jitter_seconds=0.08)
    async with bed.network.applied(toxic):
        seconds = [await pair.trip_seconds(upstream=True) for _ in range(20)]
    assert min(seconds) >= 0.02
    assert min(seconds) < 0.09
    assert max(seconds) > 0.11


async def test_latency_lets_data_follow_data(bed: Bed) -> None:
    """A delay of each piece, not a queue of delays."""
    pair = await bed.pair()
    async with bed.network.applied(Latency(stream=Stream.UPSTREAM, latency_seconds=0.5)):
        began = time.monotonic()
        for _ in range(20):
            await pair.client.send(b"x")
            await asyncio.sleep(0.01)
        await pair.server.receive(20)
        assert 0.5 + 19 * 0.01 <= time.monotonic() - began < 2


@pytest.mark.parametrize("stream", [Stream.UPSTREAM, Stream.DOWNSTREAM])
async def test_bandwidth_is_what_was_asked(bed: Bed, stream: Stream) -> None:
    pair = await bed.pair()
    sender, receiver = pair.client, pair.server
    if stream is Stream.DOWNSTREAM:
        sender, receiver = receiver, sender
    async with bed.network.applied(Bandwidth(stream=stream, bytes_per_second=2_000_000)):
        began = time.monotonic()
        await asyncio.gather(sender.send(bytes(3_000_000)), receiver.receive(3_000_000))
        seconds = time.monotonic() - began
    assert 3_000_000 / seconds == pytest.approx(2_000_000, rel=0.15)


async def test_bandwidth_is_for_each_connection(bed: Bed) -> None:
    pairs = [await bed.pair() for _ in range(3)]
    async with bed.network.applied(Bandwidth(stream=Stream.UPSTREAM, bytes_per_second=500_000)):
        seconds = await asyncio.gather(
            *(pair.trip_seconds(upstream=True, data=bytes(250_000)) for pair in pairs)
        )
    assert seconds == pytest.approx([0.5] * 3, rel=0.3)


async def test_nothing_passes_a_black_hole_until_it_is_lifted(bed: Bed) -> None:
    pair = await bed.pair()
    await pair.trip_seconds(upstream=True)
    async with bed.network.applied(BlackHole(stream=Stream.BOTH)):
        await pair.client.send(b"question")
        await pair.server.send(b"answer")
        pair.client.finish()
        silent = list(
            await asyncio.gather(pair.client.hears_nothing(0.5), pair.server.hears_nothing(0.5))
        )
    assert silent == [True, True]
    assert await pair.server.receive(8) == b"question"
    assert await pair.server.is_closed()
    assert await pair.client.receive(6) == b"answer"


async def test_a_black_hole_is_there_for_new_connections_too(bed: Bed) -> None:
    async with bed.network.applied(BlackHole(stream=Stream.UPSTREAM)):
        pair = await bed.pair()
        await pair.client.send(b"question")
        assert await pair.server.hears_nothing(0.3)
        await pair.trip_seconds(upstream=False)
    assert await pair.server.receive(8) == b"question"


async def test_timeout_closes_after_its_time(bed: Bed) -> None:
    pair = await bed.pair()
    began = time.monotonic()
    await bed.network.add(Timeout(stream=Stream.UPSTREAM, timeout_seconds=0.5))
    await pair.client.send(b"lost")
    assert await pair.client.is_closed()
    assert 0.5 <= time.monotonic() - began < 0.5 + GENEROUS_SECONDS
    assert await pair.server.is_closed()


async def test_timeout_of_none_closes_only_when_it_is_lifted(bed: Bed) -> None:
    pair, idle = await bed.pair(), await bed.pair()
    async with bed.network.applied(Timeout(stream=Stream.UPSTREAM)):
        await pair.client.send(b"lost")
        assert await pair.client.hears_nothing(0.5)
    assert await pair.client.is_closed()
    assert await pair.server.is_closed()
    await idle.trip_seconds(upstream=True)


async def test_reset_peer_downstream_loses_the_answer(bed: Bed) -> None:
    pair = await bed.pair()
    await bed.network.add(ResetPeer(stream=Stream.DOWNSTREAM))
    await pair.trip_seconds(upstream=True)
    await pair.server.send(b"answer")
    assert await pair.client.is_reset()
    assert await pair.server.is_reset()


async def test_reset_peer_upstream_loses_the_question(bed: Bed) -> None:
    pair = await bed.pair()
    await bed.network.add(ResetPeer(stream=Stream.UPSTREAM))
    await pair.client.send(b"question")
    assert await pair.client.is_reset()
    assert await pair.server.is_reset()


async def test_reset_peer_waits_and_can_hit_an_idle_connection(bed: Bed) -> None:
    pair = await bed.pair()
    began = time.monotonic()
    await bed.network.add(
        ResetPeer(stream=Stream.UPSTREAM, timeout_seconds=0.4, wait_for_data=False)
    )
    assert await pair.client.is_reset()
    assert 0.4 <= time.monotonic() - began < 0.4 + GENEROUS_SECONDS


async def test_slow_close_holds_the_end_back(bed: Bed) -> None:
    pair = await bed.pair()
    async with bed.network.applied(SlowClose(stream=Stream.UPSTREAM, delay_seconds=0.5)):
        await pair.trip_seconds(upstream=True)
        began = time.monotonic()
        pair.client.finish()
        assert await pair.server.is_closed()
        assert 0.5 <= time.monotonic() - began < 0.5 + GENEROUS_SECONDS


async def test_limit_data_cuts_at_the_byte(bed: Bed) -> None:
    pair = await bed.pair()
    async with bed.network.applied(LimitData(stream=Stream.DOWNSTREAM, limit_bytes=100_000)):
        await pair.server.send(bytes(150_000))
        assert len(await pair.client.receive(100_000)) == 100_000
        assert await pair.client.is_closed()


async def test_slicer_cuts_data_into_pieces(bed: Bed) -> None:
    pair = await bed.pair()
    toxic = Slicer(stream=Stream.UPSTREAM, average_size_bytes=10, delay_seconds=0.1)
    async with bed.network.applied(toxic):
        began = time.monotonic()
        await pair.client.send(bytes(50))
        first = await pair.server.read()
        await pair.server.receive(50 - len(first))
    assert len(first) < 50
    assert time.monotonic() - began >= 0.4


async def test_down_cuts_and_refuses_until_it_is_lifted(bed: Bed) -> None:
    pair = await bed.pair()
    async with bed.network.applied(Down()):
        assert await pair.client.is_closed()
        assert await pair.server.is_closed()
        with pytest.raises(ConnectionRefusedError):
            await bed.dial()
    again = await bed.pair()
    await again.trip_seconds(upstream=True)


@pytest.mark.parametrize("gone", Side)
async def test_half_open_says_nothing_to_who_is_left(bed: Bed, gone: Side) -> None:
    pair = await bed.pair()
    lost, survivor = pair.client, pair.server
    if gone is Side.SERVER:
        lost, survivor = survivor, lost
    async with bed.network.applied(HalfOpen(gone=gone)):
        assert await lost.is_reset()
        await survivor.send(b"anybody there?")
        assert await survivor.hears_nothing(0.5)
        new = await bed.pair()
        await new.trip_seconds(upstream=True)
    assert await survivor.is_reset()
    await new.trip_seconds(upstream=True)


async def test_several_faults_at_once_and_all_healed(bed: Bed) -> None:
    pair = await bed.pair()
    await bed.network.add(Latency(stream=Stream.UPSTREAM, latency_seconds=0.2))
    await bed.network.add(Latency(name="more", stream=Stream.UPSTREAM, latency_seconds=0.2))
    await bed.network.add(Bandwidth(stream=Stream.UPSTREAM, bytes_per_second=100_000))
    assert await pair.trip_seconds(upstream=True, data=bytes(20_000)) >= 0.2 + 0.2 + 0.2
    await bed.network.clear()
    healed = [await pair.trip_seconds(upstream=True, data=bytes(20_000)) for _ in range(3)]
    assert min(healed) < 0.2


async def test_a_change_is_felt_in_the_middle_of_a_wait(bed: Bed) -> None:
    pair = await bed.pair()
    await bed.network.add(Latency(stream=Stream.UPSTREAM, latency_seconds=60))
    await pair.client.send(b"late")
    assert await pair.server.hears_nothing(0.2)
    await bed.network.replace(Latency(stream=Stream.UPSTREAM, latency_seconds=0.3))
    assert await pair.server.receive(4) == b"late"

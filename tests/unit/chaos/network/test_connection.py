"""A connection's two lines between real sockets, by a clock that only the test moves."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import Iterator
from typing import TypeVar, cast

import pytest

from chaos.network.behaviour import Ending
from chaos.network.connection import Connection, reset
from chaos.network.journal import Closed, Effect, Hit, NetworkRecord, Opened
from chaos.network.line import CAPACITY_BYTES, CAPACITY_CHUNKS
from chaos.network.toxics import (
    AnyToxic,
    Bandwidth,
    BlackHole,
    Down,
    HalfOpen,
    Latency,
    LimitData,
    ResetPeer,
    Side,
    Stream,
)
from tests.unit.chaos.network.hand_loop import HandLoop

_Record = TypeVar("_Record")
_SEED = 7
_SMALL_BYTES = 1 << 16


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a connection of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # Small and fixed, or the kernel's own buffers would hide ours.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BYTES)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SMALL_BYTES)
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BYTES)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SMALL_BYTES)
        one.connect(listener.getsockname())
        other, _ = listener.accept()
    for end in (one, other):
        end.setblocking(False)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one, other


class Bench:
    """A connection with both of its peers."""

    def __init__(self) -> None:
        self.loop = HandLoop()
        self.records: list[NetworkRecord] = []
        self.ended: list[Connection] = []
        self.client, client_side = tcp_pair()
        server_side, self.server = tcp_pair()
        self.connection = Connection(
            1,
            (client_side, server_side),
            cast("asyncio.AbstractEventLoop", self.loop),
            self.records.append,
            self.ended.append,
        )
        self.connection.open()
        self.connection.start()

    def put_on(self, *toxics: AnyToxic) -> None:
        for toxic in toxics:
            self.connection.put_on(toxic, _SEED)
        self.loop.settle()

    def take_off(self, name: str) -> None:
        self.connection.take_off(name)
        self.loop.settle()

    def send(self, end: socket.socket, data: bytes) -> None:
        """An end sends, and the proxy has taken notice."""
        end.sendall(data)
        self.loop.settle()

    def is_near_client(self, sock: socket.socket) -> bool:
        """Whether it is the proxy's end of the client's connection."""
        return bool(sock.getpeername() == self.client.getsockname())

    def flood(self, end: socket.socket) -> int:
        """An end sends as much as it can; how many bytes."""
        sent_bytes = 0
        with contextlib.suppress(BlockingIOError):
            while sent_bytes < 100 * CAPACITY_BYTES:
                sent_bytes += end.send(bytes(_SMALL_BYTES))
                self.loop.settle()
        return sent_bytes

    def all_of(self, kind: type[_Record]) -> list[_Record]:
        return [record for record in self.records if isinstance(record, kind)]

    @property
    def closed(self) -> Closed:
        (closed,) = self.all_of(Closed)
        return closed

    def effect(self, stream: Stream) -> Effect:
        (effect,) = [e for e in self.all_of(Effect) if e.stream is stream]
        return effect

    def close(self) -> None:
        self.client.close()
        self.server.close()
        self.connection.end(Ending.CLOSE, "the test is over")


@pytest.fixture
def bench() -> Iterator[Bench]:
    with contextlib.closing(Bench()) as bench:
        yield bench


def got(end: socket.socket) -> bytes | None:
    """What an end can read now; None: nothing. Raises ConnectionResetError."""
    try:
        return end.recv(1 << 20)
    except BlockingIOError:
        return None


def everything(end: socket.socket) -> bytes:
    """All that an end can read now; one read need not give all of it."""
    return b"".join(iter(lambda: got(end) or b"", b""))


def is_reset(end: socket.socket) -> bool:
    try:
        return got(end) == b"never"
    except ConnectionResetError:
        return True


class TestWithoutToxics:
    def test_data_passes_both_ways(self, bench: Bench) -> None:
        bench.send(bench.client, b"question")
        bench.send(bench.server, b"answer")
        assert (got(bench.server), got(bench.client)) == (b"question", b"answer")

    def test_an_end_passes_and_the_other_way_stays_open(self, bench: Bench) -> None:
        bench.client.shutdown(socket.SHUT_WR)
        bench.loop.settle()
        assert got(bench.server) == b""
        bench.send(bench.server, b"late answer")
        assert got(bench.client) == b"late answer"
        assert not bench.ended

    def test_it_is_over_when_both_have_ended(self, bench: Bench) -> None:
        bench.server.shutdown(socket.SHUT_WR)
        bench.loop.settle()
        bench.client.close()
        bench.loop.settle()
        assert bench.ended == [bench.connection]
        assert bench.closed.because == "server_closed"

    def test_a_reset_passes(self, bench: Bench) -> None:
        reset(bench.client)
        bench.loop.settle()
        assert is_reset(bench.server)
        assert bench.closed.because == "client_reset"

    def test_a_receiver_that_was_reset_is_told_to_its_sender(self, bench: Bench) -> None:
        bench.client.shutdown(socket.SHUT_WR)
        bench.loop.settle()
        reset(bench.client)  # which a proxy that reads no more sees only when it sends
        bench.send(bench.server, b"lost")
        assert bench.closed.because == "client_reset"
        with pytest.raises(BrokenPipeError):
            bench.server.send(b"refused")

    def test_its_addresses_and_bytes_are_recorded(self, bench: Bench) -> None:
        bench.send(bench.client, b"question")
        bench.connection.end(Ending.CLOSE, "done")
        (opened,) = bench.all_of(Opened)
        assert opened.client == "{}:{}".format(*bench.client.getsockname())
        assert opened.via == "{}:{}".format(*bench.server.getpeername())
        assert (bench.closed.upstream.received_bytes, bench.closed.upstream.sent_bytes) == (8, 8)
        assert bench.closed.downstream.received_bytes == 0


class TestRoom:
    def test_a_slow_receiver_slows_its_sender(self, bench: Bench) -> None:
        sent_bytes = bench.flood(bench.server)
        held_bytes = bench.connection.status().downstream.held_bytes
        assert CAPACITY_BYTES <= held_bytes < 2 * CAPACITY_BYTES
        assert sent_bytes < 2 * CAPACITY_BYTES + 10 * _SMALL_BYTES
        assert bench.client.getsockname()  # it has read nothing so far
        received_bytes = 0
        while data := got(bench.client):
            received_bytes += len(data)
            bench.loop.settle()
        assert received_bytes == sent_bytes

    def test_data_that_comes_as_room_appears_does_not_overtake(self, bench: Bench) -> None:
        sent = bytearray()
        while not bench.loop.writers:
            sent += bytes([len(sent) >> 14]) * (1 << 14)
            bench.send(bench.server, bytes(sent[-(1 << 14) :]))
        received = bytearray(got(bench.client) or b"")
        bench.send(bench.server, b"last")
        while data := got(bench.client):
            received += data
            bench.loop.settle()
        assert received == sent + b"last"

    def test_many_small_pieces_are_no_more_than_a_line_holds(self, bench: Bench) -> None:
        bench.put_on(BlackHole(stream=Stream.UPSTREAM))
        for _ in range(CAPACITY_CHUNKS + 10):
            bench.client.send(b"x")
            readers = [
                read for sock, read in bench.loop.readers.items() if bench.is_near_client(sock)
            ]
            for read in readers:
                read()
        assert bench.connection.status().upstream.held_bytes == CAPACITY_CHUNKS

    def test_one_stream_that_stands_does_not_stop_the_other(self, bench: Bench) -> None:
        bench.flood(bench.server)
        bench.send(bench.client, b"question")
        assert got(bench.server) == b"question"


class TestChanges:
    def test_an_established_connection_feels_a_toxic_at_once(self, bench: Bench) -> None:
        bench.send(bench.client, b"before")
        bench.put_on(BlackHole(stream=Stream.UPSTREAM))
        bench.send(bench.client, b" after")
        bench.loop.pass_time(3600)
        assert got(bench.server) == b"before"

    def test_what_was_held_goes_on_in_order_when_it_is_lifted(self, bench: Bench) -> None:
        bench.put_on(BlackHole(stream=Stream.UPSTREAM))
        bench.send(bench.client, b"one ")
        bench.send(bench.client, b"two")
        bench.client.shutdown(socket.SHUT_WR)
        bench.loop.pass_time(3600)
        assert got(bench.server) is None
        bench.take_off("black_hole_upstream")
        assert (got(bench.server), got(bench.server)) == (b"one two", b"")

    def test_a_delay_ends_with_its_toxic(self, bench: Bench) -> None:
        bench.put_on(Latency(stream=Stream.UPSTREAM, latency_seconds=60))
        bench.send(bench.client, b"late")
        bench.loop.pass_time(1)
        assert got(bench.server) is None
        bench.take_off("latency_upstream")
        assert got(bench.server) == b"late"

    def test_what_a_hole_held_takes_its_way_past_the_others_afterwards(self, bench: Bench) -> None:
        bench.put_on(
            BlackHole(stream=Stream.UPSTREAM),
            Bandwidth(stream=Stream.UPSTREAM, bytes_per_second=1000),
        )
        bench.send(bench.client, bytes(1000))
        bench.loop.pass_time(10)
        bench.take_off("black_hole_upstream")
        bench.loop.pass_time(0.5)
        assert len(everything(bench.server)) == pytest.approx(500, abs=20)

    def test_a_toxic_works_on_its_stream_only(self, bench: Bench) -> None:
        bench.put_on(BlackHole(stream=Stream.DOWNSTREAM))
        bench.send(bench.client, b"question")
        bench.send(bench.server, b"answer")
        assert (got(bench.server), got(bench.client)) == (b"question", None)

    def test_several_work_one_after_the_other(self, bench: Bench) -> None:
        bench.put_on(
            Bandwidth(stream=Stream.UPSTREAM, bytes_per_second=1000),
            Latency(stream=Stream.UPSTREAM, latency_seconds=1),
        )
        bench.send(bench.client, bytes(1000))
        arrived = []
        for _ in range(21):
            bench.loop.pass_time(0.1)
            arrived.append(len(everything(bench.server)))
        assert sum(arrived[:10]) == 0
        assert arrived[10:20] == pytest.approx([100] * 10, abs=20)
        assert sum(arrived) == 1000

    def test_data_that_waits_is_never_reordered(self, bench: Bench) -> None:
        bench.put_on(Latency(stream=Stream.UPSTREAM, latency_seconds=1, jitter_seconds=1))
        for number in range(50):
            bench.send(bench.client, bytes([number]))
            bench.loop.pass_time(0.01)
        bench.loop.pass_time(5)
        assert everything(bench.server) == bytes(range(50))


HARMLESS: tuple[AnyToxic, ...] = (
    Latency(stream=Stream.BOTH, latency_seconds=0.3, jitter_seconds=0.2),
    Bandwidth(stream=Stream.UPSTREAM, bytes_per_second=50_000),
    Bandwidth(stream=Stream.DOWNSTREAM, bytes_per_second=5_000),
    BlackHole(stream=Stream.BOTH),
    BlackHole(stream=Stream.DOWNSTREAM),
)
"""What delays, and loses nothing."""


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_lost_or_changed_whatever_comes_and_goes(bench: Bench, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - no secret
    ends = (bench.client, bench.server)
    sent, received = ([bytearray(), bytearray()] for _ in range(2))

    def receive() -> None:
        for number, end in enumerate(reversed(ends)):
            received[number] += everything(end)

    on: set[str] = set()
    for _ in range(60):
        toxic = dice.choice(HARMLESS)
        if toxic.known_as in on:
            bench.take_off(toxic.known_as)
        else:
            bench.put_on(toxic)
        on ^= {toxic.known_as}
        which = dice.randrange(2)
        data = dice.randbytes(dice.choice((1, 100, 20_000)))
        with contextlib.suppress(BlockingIOError):
            sent[which] += data[: ends[which].send(data)]
        bench.loop.pass_time(dice.choice((0, 0.01, 0.5)))
        receive()
    for end in ends:
        end.shutdown(socket.SHUT_WR)
    for name in on:
        bench.take_off(name)
    while not bench.ended:
        before = list(map(len, received))
        bench.loop.settle()
        receive()
        assert bench.ended or list(map(len, received)) > before, "it stands still"
    receive()
    assert received == sent
    assert bench.closed.because == "client_closed"


class TestToxics:
    def test_reset_peer_resets_both_and_the_data_does_not_arrive(self, bench: Bench) -> None:
        bench.put_on(ResetPeer(stream=Stream.DOWNSTREAM, timeout_seconds=2))
        bench.loop.pass_time(60)
        bench.send(bench.client, b"question")
        assert got(bench.server) == b"question"
        bench.send(bench.server, b"answer")
        bench.loop.pass_time(1.9)
        assert not bench.ended
        bench.loop.pass_time(0.1)
        assert is_reset(bench.client)
        assert is_reset(bench.server)
        assert bench.closed.downstream.dropped_bytes == 6

    def test_reset_peer_hits_an_idle_connection_where_it_need_not_wait(self, bench: Bench) -> None:
        bench.put_on(ResetPeer(stream=Stream.UPSTREAM, timeout_seconds=2, wait_for_data=False))
        bench.loop.pass_time(2)
        assert bench.closed.because == "reset_peer_upstream"

    def test_data_passes_until_such_a_reset(self, bench: Bench) -> None:
        bench.put_on(ResetPeer(stream=Stream.UPSTREAM, timeout_seconds=2, wait_for_data=False))
        bench.send(bench.client, b"in time")
        assert got(bench.server) == b"in time"
        bench.loop.pass_time(2)
        assert is_reset(bench.server)

    def test_limit_data_cuts_at_the_byte(self, bench: Bench) -> None:
        bench.put_on(LimitData(stream=Stream.UPSTREAM, limit_bytes=5))
        bench.send(bench.client, b"abc")
        bench.send(bench.client, b"defg")
        assert (got(bench.server), got(bench.server)) == (b"abcde", b"")
        assert bench.closed.because == "limit_data_upstream"
        assert bench.closed.upstream.dropped_bytes == 2

    def test_down_cuts(self, bench: Bench) -> None:
        bench.put_on(Down())
        assert (got(bench.server), got(bench.client)) == (b"", b"")
        assert bench.closed.because == "down"

    @pytest.mark.parametrize("gone", Side)
    def test_half_open_leaves_one_side_in_the_dark(self, bench: Bench, gone: Side) -> None:
        lost, survivor = bench.client, bench.server
        if gone is Side.SERVER:
            lost, survivor = survivor, lost
        bench.put_on(HalfOpen(gone=gone))
        assert is_reset(lost)
        bench.send(survivor, b"anybody there?")
        bench.loop.pass_time(3600)
        assert got(survivor) is None
        assert not bench.ended
        bench.take_off("half_open")
        assert is_reset(survivor)
        assert sum(effect.dropped_bytes for effect in bench.all_of(Effect)) == 14

    def test_a_survivor_that_leaves_ends_it(self, bench: Bench) -> None:
        bench.put_on(HalfOpen(gone=Side.SERVER))
        bench.client.close()
        bench.loop.settle()
        assert bench.closed.because == "client_closed"

    def test_half_open_drops_what_stood_in_the_line_and_waits_for_no_room(
        self, bench: Bench
    ) -> None:
        bench.flood(bench.server)
        bench.flood(bench.client)
        bench.put_on(HalfOpen(gone=Side.SERVER))
        status = bench.connection.status()
        assert (status.upstream.held_bytes, status.downstream.held_bytes) == (0, 0)
        assert bench.loop.writers == {}


class TestProofs:
    def test_a_toxic_that_nothing_met_has_not_hit(self, bench: Bench) -> None:
        bench.put_on(BlackHole(stream=Stream.BOTH), Latency(stream=Stream.BOTH, latency_seconds=1))
        bench.loop.pass_time(60)
        bench.take_off("black_hole")
        assert bench.all_of(Hit) == []
        assert bench.all_of(Effect) == []

    def test_the_first_hit_is_told_when_it_happens(self, bench: Bench) -> None:
        bench.put_on(BlackHole(stream=Stream.BOTH))
        bench.send(bench.client, b"one")
        bench.send(bench.client, b"two")
        (hit,) = bench.all_of(Hit)
        assert (hit.name, hit.connection, hit.stream) == ("black_hole", 1, Stream.UPSTREAM)

    def test_held_bytes_are_told_when_it_is_lifted(self, bench: Bench) -> None:
        bench.put_on(BlackHole(stream=Stream.UPSTREAM))
        bench.send(bench.client, b"held")
        bench.take_off("black_hole_upstream")
        effect = bench.effect(Stream.UPSTREAM)
        assert (effect.held_bytes, effect.delayed_bytes, effect.dropped_bytes) == (4, 0, 0)

    def test_delayed_bytes_are_told_when_the_connection_ends(self, bench: Bench) -> None:
        bench.put_on(Latency(stream=Stream.UPSTREAM, latency_seconds=1))
        bench.send(bench.client, b"late")
        bench.loop.pass_time(1)
        bench.send(bench.client, b"lost")
        bench.connection.end(Ending.CLOSE, "done")
        assert bench.effect(Stream.UPSTREAM).delayed_bytes == 4
        assert bench.closed.upstream.dropped_bytes == 4

    @pytest.mark.parametrize(
        "toxic",
        [
            ResetPeer(stream=Stream.UPSTREAM),
            LimitData(stream=Stream.UPSTREAM, limit_bytes=5),
            BlackHole(stream=Stream.UPSTREAM),
        ],
        ids=lambda toxic: toxic.type,
    )
    def test_every_byte_is_accounted_for(self, bench: Bench, toxic: AnyToxic) -> None:
        bench.put_on(toxic)
        bench.send(bench.client, bytes(100_000))
        counts = bench.connection.status().upstream
        accounted = counts.sent_bytes + counts.dropped_bytes + counts.held_bytes
        assert counts.received_bytes == accounted > 0

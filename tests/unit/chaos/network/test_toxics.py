"""Each toxic's settings and behaviour, by a clock that only the test moves."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from chaos.network.behaviour import NEVER, Behaviour, Ending, Piece, Position
from chaos.network.toxics import (
    ANY_TOXIC,
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

SINCE = 100.0
END = Piece(offset=500, size_bytes=0, read_offset=500)


def place(seed: int = 7, connection: int = 1) -> Position:
    return Position(seed, connection, Stream.DOWNSTREAM, SINCE)


def on(toxic: AnyToxic) -> Behaviour:
    return toxic.behaviour(place())


def piece(size_bytes: int, offset: int = 0) -> Piece:
    return Piece(offset, size_bytes, read_offset=offset)


def passes(behaviour: Behaviour, size_bytes: int, at: float) -> float:
    """Let a piece pass; when it does."""
    asked = piece(size_bytes)
    leaves_at = behaviour.leaves_at(asked, at)
    behaviour.passed(asked, leaves_at)
    return leaves_at


class TestLatency:
    def test_data_and_its_end_take_longer(self) -> None:
        latency = on(Latency(stream=Stream.DOWNSTREAM, latency_seconds=0.5))
        assert latency.leaves_at(piece(10), 101) == 101.5
        assert latency.leaves_at(END, 101) == 101.5

    def test_pieces_do_not_wait_for_each_other(self) -> None:
        latency = on(Latency(stream=Stream.DOWNSTREAM, latency_seconds=0.5))
        assert [passes(latency, 10, at) for at in (101, 101.1, 101.2)] == [101.5, 101.6, 101.7]

    def test_jitter_spreads_evenly_around_it(self) -> None:
        toxic = Latency(stream=Stream.DOWNSTREAM, latency_seconds=0.5, jitter_seconds=0.1)
        latency = on(toxic)
        delays = [latency.leaves_at(piece(1, offset), 0) for offset in range(1000)]
        assert min(delays) == pytest.approx(0.4, abs=0.005)
        assert max(delays) == pytest.approx(0.6, abs=0.005)
        assert sum(delays) / len(delays) == pytest.approx(0.5, abs=0.01)

    def test_jitter_is_the_same_by_the_same_seed_only(self) -> None:
        toxic = Latency(stream=Stream.DOWNSTREAM, latency_seconds=0.5, jitter_seconds=0.1)

        def delays(seed: int, connection: int) -> list[float]:
            latency = toxic.behaviour(place(seed, connection))
            return [latency.leaves_at(piece(1, offset), 0) for offset in range(5)]

        assert delays(7, 1) == delays(7, 1)
        assert delays(7, 1) != delays(8, 1)
        assert delays(7, 1) != delays(7, 2)

    def test_jitter_belongs_to_what_was_read_however_it_is_cut(self) -> None:
        toxic = Latency(stream=Stream.DOWNSTREAM, latency_seconds=0.5, jitter_seconds=0.1)
        whole, rest = Piece(40, 10, read_offset=40), Piece(45, 5, read_offset=40)
        assert on(toxic).leaves_at(whole, 0) == on(toxic).leaves_at(rest, 0)

    def test_jitter_beyond_the_latency_takes_no_time_back(self) -> None:
        toxic = Latency(stream=Stream.DOWNSTREAM, latency_seconds=0, jitter_seconds=0.1)
        latency = on(toxic)
        assert min(latency.leaves_at(piece(1, offset), 9) for offset in range(100)) == 9


class TestBandwidth:
    def test_bytes_take_their_time_one_after_the_other(self) -> None:
        wire = on(Bandwidth(stream=Stream.DOWNSTREAM, bytes_per_second=1000))
        assert [passes(wire, 20, 101) for _ in range(3)] == pytest.approx([101.02, 101.04, 101.06])

    def test_an_idle_wire_saves_nothing_up(self) -> None:
        wire = on(Bandwidth(stream=Stream.DOWNSTREAM, bytes_per_second=1000))
        passes(wire, 20, 101)
        assert passes(wire, 20, 200) == pytest.approx(200.02)

    @pytest.mark.parametrize(("rate", "most"), [(1_000_000, 20_000), (1000, 20), (1, 1)])
    def test_data_goes_on_in_steps(self, rate: int, most: int) -> None:
        wire = on(Bandwidth(stream=Stream.DOWNSTREAM, bytes_per_second=rate))
        assert wire.most_bytes(piece(1 << 20)) == most


class TestBlackHole:
    def test_data_and_its_end_are_kept_and_nothing_is_lost(self) -> None:
        hole = on(BlackHole(stream=Stream.DOWNSTREAM))
        assert [hole.leaves_at(p, 101) for p in (piece(1), END)] == [NEVER, NEVER]
        assert not hole.swallows(piece(1))
        assert (hole.ends_at, hole.lifted()) == (NEVER, None)


class TestResetPeer:
    def test_the_next_data_does_not_pass_and_lights_the_fuse(self) -> None:
        trap = on(ResetPeer(stream=Stream.DOWNSTREAM, timeout_seconds=2))
        assert trap.ends_at == NEVER
        assert trap.leaves_at(piece(1), 150) == NEVER
        assert trap.leaves_at(piece(1), 151) == NEVER
        assert (trap.ends_at, trap.ending) == (152, Ending.RESET)

    def test_it_need_not_wait_for_data(self) -> None:
        fuse = on(ResetPeer(stream=Stream.DOWNSTREAM, timeout_seconds=2, wait_for_data=False))
        assert (fuse.ends_at, fuse.ending) == (102, Ending.RESET)
        assert fuse.leaves_at(piece(1), 101) == 101


class TestLimitData:
    def test_the_connection_is_closed_after_the_last_byte_that_is_allowed(self) -> None:
        meter = on(LimitData(stream=Stream.DOWNSTREAM, limit_bytes=10))
        assert meter.most_bytes(piece(25)) == 10
        passes(meter, 6, 101)
        assert (meter.most_bytes(piece(25)), meter.ends_at) == (4, NEVER)
        passes(meter, 4, 102)
        assert (meter.ends_at, meter.ending) == (102, Ending.CLOSE)

    def test_nothing_allowed_closes_at_once(self) -> None:
        assert on(LimitData(stream=Stream.DOWNSTREAM, limit_bytes=0)).ends_at == SINCE


class Affected:
    """A connection that notes what is done to it."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str]] = []

    def end(self, ending: Ending, because: str) -> None:
        self.done.append((ending.value, because))

    def lose(self, side: Side, because: str) -> None:
        self.done.append((side.value, because))


class TestWholeConnections:
    def test_down_cuts_and_refuses(self) -> None:
        affected = Affected()
        Down().apply(affected)
        assert affected.done == [("close", "down")]
        assert Down.refuses

    def test_half_open_lets_go_of_one_side_of_those_that_exist(self) -> None:
        affected = Affected()
        HalfOpen(gone=Side.SERVER).apply(affected)
        assert affected.done == [("server", "half_open")]
        assert HalfOpen.spares_new

    def test_half_open_is_silent_and_ends_in_a_reset(self) -> None:
        silence = on(HalfOpen(gone=Side.SERVER))
        assert silence.swallows(piece(1))
        assert silence.leaves_at(END, 101) == NEVER
        assert silence.lifted() is Ending.RESET


class TestSettings:
    @pytest.mark.parametrize(
        ("toxic", "name"),
        [
            (BlackHole(stream=Stream.UPSTREAM), "black_hole_upstream"),
            (BlackHole(stream=Stream.BOTH), "black_hole"),
            (Down(), "down"),
            (Down(name="outage-1"), "outage-1"),
        ],
    )
    def test_a_name_is_given_or_follows(self, toxic: AnyToxic, name: str) -> None:
        assert toxic.known_as == name

    @pytest.mark.parametrize(
        "toxic",
        [
            Bandwidth(stream=Stream.UPSTREAM, bytes_per_second=1),
            BlackHole(stream=Stream.BOTH),
            Down(),
            HalfOpen(gone=Side.CLIENT),
            Latency(stream=Stream.UPSTREAM, latency_seconds=1, jitter_seconds=0.5),
            LimitData(stream=Stream.UPSTREAM, limit_bytes=0),
            ResetPeer(stream=Stream.DOWNSTREAM, wait_for_data=False),
        ],
        ids=lambda toxic: toxic.type,
    )
    def test_each_can_be_sent_and_read(self, toxic: AnyToxic) -> None:
        assert ANY_TOXIC.validate_json(ANY_TOXIC.dump_json(toxic)) == toxic

    @pytest.mark.parametrize(
        "body",
        [
            {"type": "latency", "stream": "sideways", "latency_seconds": 1},
            {"type": "latency", "stream": "upstream", "latency_seconds": -1},
            {"type": "latency", "stream": "upstream", "latency": 1000},
            {"type": "bandwidth", "stream": "upstream", "bytes_per_second": 0},
            {"type": "down", "stream": "upstream"},
            {"type": "down", "name": "a/b"},
            {"type": "slicer", "stream": "upstream"},
        ],
    )
    def test_what_cannot_be_is_refused(self, body: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            ANY_TOXIC.validate_python(body)

"""What becomes of packets, on packets made by hand."""

from __future__ import annotations

import struct
from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from chaos.network.behaviour import Stream
from chaos.network.journal import NetworkJournalError
from chaos.network.packets import (
    FOLDER,
    Chance,
    Fate,
    Harm,
    Opened,
    Progress,
    Segment,
    read_packets,
    segment_of,
)

LINK = "worker-1>server"
UP = Stream.UPSTREAM
SYN, ACK = 2, 16
LAST = (1 << 32) - 1


def packet(  # noqa: PLR0913 - the fields of a packet
    data: bytes = b"",
    *,
    source: int = 40000,
    to: int = 7233,
    sequence: int = 1,
    flags: int = ACK,
    protocol: int = 6,
    fragment: int = 0,
    options: bytes = b"",
) -> bytes:
    total = 40 + len(options) + len(data)
    ip = struct.pack("!BBHHHBBH8x", 0x45, 0, total, 1, fragment, 64, protocol, 0)
    offset = (5 + len(options) // 4) << 4
    return (
        ip
        + struct.pack("!HHIIBBHHH", source, to, sequence, 0, offset, flags, 1000, 0, 0)
        + options
        + data
    )


def _fates(harm: Harm, link: str = LINK, stream: Stream = UP, count: int = 400) -> list[Fate]:
    chance = Chance(harm, link, stream)
    return [chance.fate() for _ in range(count)]


def test_a_packet_tells_its_ports_its_place_and_its_data_without_the_headers_options() -> None:
    assert segment_of(packet(b"12345", sequence=9, options=bytes(12))) == Segment(
        40000, 7233, 9, 5, opens=False
    )
    assert segment_of(packet(flags=SYN)) == Segment(40000, 7233, 1, 0, opens=True)


@pytest.mark.parametrize(
    "other",
    [
        b"",
        packet()[:39],
        bytes([0x60]) + packet()[1:],
        packet(protocol=17),
        packet(fragment=0x2000),
        packet(fragment=3),
    ],
    ids=["nothing", "cut", "IPv6", "UDP", "first fragment", "later fragment"],
)
def test_what_is_no_whole_packet_of_tcp_is_none(other: bytes) -> None:
    assert segment_of(other) is None


def test_each_fate_has_its_share() -> None:
    counts = Counter(_fates(Harm(lose=0.2, corrupt=0.1, reorder=0.3, duplicate=0.05), count=20_000))

    for fate, share in (
        (Fate.LOST, 0.2),
        (Fate.CORRUPTED, 0.1),
        (Fate.REORDERED, 0.3),
        (Fate.DUPLICATED, 0.05),
        (Fate.PASSED, 0.35),
    ):
        assert counts[fate] / 20_000 == pytest.approx(share, abs=0.02), fate


def test_in_a_partition_nothing_passes() -> None:
    assert set(_fates(Harm(lose=1))) == {Fate.LOST}
    assert (Harm(lose=1).name, Harm(lose=0.99).name) == ("partition", "packets")


def test_the_same_seed_draws_the_same_for_a_link_and_a_direction() -> None:
    harm = Harm(lose=0.5, seed=3)

    assert _fates(harm) == _fates(harm)
    assert _fates(harm) != _fates(Harm(lose=0.5, seed=4))
    assert _fates(harm) != _fates(harm, stream=Stream.DOWNSTREAM)
    assert _fates(harm) != _fates(harm, link="worker-2>server")


@pytest.mark.parametrize(
    "shares",
    [{}, {"lose": 0.7, "corrupt": 0.4}, {"lose": -0.1}, {"lose": 1.1}, {"lost": 0.1}],
    ids=["none", "more than all", "negative", "more than one", "unknown"],
)
def test_shares_that_mean_nothing_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Harm.model_validate(shares)


def test_damage_is_one_bit_and_never_in_the_ip_header() -> None:
    chance = Chance(Harm(corrupt=1), LINK, UP)
    whole = packet(b"some data")
    for _ in range(200):
        damaged = chance.damaged(whole)
        assert damaged[:20] == whole[:20]
        different = [a ^ b for a, b in zip(damaged, whole, strict=True) if a != b]
        assert len(different) == 1
        assert different[0].bit_count() == 1


def _seen(progress: Progress, *packets: bytes, stream: Stream = UP) -> list[bool]:
    found = []
    for each in packets:
        segment = segment_of(each)
        assert segment
        found.append(progress.is_sent_again(segment.source, stream, segment))
    return found


def test_data_that_comes_once_more_is_sent_again() -> None:
    first, second = packet(b"1234", sequence=11), packet(b"5678", sequence=15)

    assert _seen(Progress(), packet(sequence=10, flags=SYN), first, second, first, second) == [
        False,
        False,
        False,
        True,
        True,
    ]


def test_a_part_that_was_sent_with_more_is_sent_again() -> None:
    assert _seen(Progress(), packet(b"12345678", sequence=1), packet(b"34567890", sequence=3)) == [
        False,
        True,
    ]


def test_acknowledgements_and_signs_of_life_are_not_sent_again() -> None:
    data = packet(b"1234", sequence=1)

    assert (
        _seen(Progress(), data, packet(sequence=5), packet(sequence=5), packet(sequence=4))
        == [False] * 4
    )


def test_sequence_numbers_begin_again() -> None:
    before, after = packet(b"1234", sequence=LAST - 1), packet(b"5678", sequence=2)

    assert _seen(Progress(), before, after, before) == [False, False, True]


def test_another_connection_or_direction_or_a_new_one_at_the_same_port_is_not_sent_again() -> None:
    progress = Progress()
    data = packet(b"1234", sequence=100)
    assert _seen(progress, data) == [False]
    assert _seen(progress, packet(b"1234", sequence=100, source=40001)) == [False]
    assert _seen(progress, data, stream=Stream.DOWNSTREAM) == [False]
    assert _seen(progress, packet(sequence=50, flags=SYN), packet(b"12", sequence=51)) == [
        False,
        False,
    ]


def test_the_records_of_one_link_are_read_and_an_unfinished_one_is_left_out(tmp_path: Path) -> None:
    records = [Opened(link=link, listen="a:1", upstream="b:2") for link in (LINK, "worker-1>shop")]
    lines = [record.model_dump_json() for record in records]
    (tmp_path / FOLDER).mkdir()
    file = tmp_path / FOLDER / "worker-1.jsonl"
    file.write_text("\n".join([*lines, '{"at":']))

    assert read_packets(tmp_path, LINK) == [records[0]]
    assert read_packets(tmp_path, "worker-2>server") == []
    file.write_text("nonsense\n")
    with pytest.raises(NetworkJournalError, match="Line 1 of the journal"):
        read_packets(tmp_path, LINK)

"""What becomes of IP packets on a link that loses, damages or reorders them, and its record.

It is below TCP, which sends again what was lost: a proxy of TCP cannot do that, because TCP ends at
it. Every decision is on record with the segment that it hit, and so is each segment that TCP sent
again, in a file of JSON lines for each client.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from chaos.evidence.files import read_if_there
from chaos.network.behaviour import Stream
from chaos.network.journal import NetworkJournalError, Record

FOLDER = "packets"
"""Where a case's folder keeps the records, a file for each client."""

PACKETS, PARTITION = "packets", "partition"
"""How the harness's journal calls the fault: some packets are hit, or none passes."""

_TCP = 6
_SYN = 2
_MORE_FRAGMENTS_OR_OFFSET = 0x3FFF
_SEQUENCES = 1 << 32

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Fate(StrEnum):
    """What becomes of a packet. One that is `reordered` leaves after later ones of its link."""

    PASSED = "passed"
    LOST = "lost"
    CORRUPTED = "corrupted"
    REORDERED = "reordered"
    DUPLICATED = "duplicated"


class Harm(BaseModel):
    """The share of a link's packets, in both directions, that has each fate; all are drawn by the
    `seed`. Together they are more than none and at most all. `lose=1` is a partition.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lose: Share = 0.0
    corrupt: Share = 0.0
    reorder: Share = 0.0
    duplicate: Share = 0.0
    seed: int = 0

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not 0.0 < sum(self.shares.values()) <= 1.0:
            raise ValueError(
                "lose, corrupt, reorder and duplicate are shares of all packets: together they "
                "must be more than 0 and at most 1"
            )
        return self

    @property
    def name(self) -> str:
        """Its name in the harness's journal."""
        return PARTITION if self.lose == 1.0 else PACKETS

    @property
    def shares(self) -> Mapping[Fate, float]:
        """The share of each fate but to pass."""
        return {
            Fate.LOST: self.lose,
            Fate.CORRUPTED: self.corrupt,
            Fate.REORDERED: self.reorder,
            Fate.DUPLICATED: self.duplicate,
        }


class Chance:
    """Draws the fate of each packet of a link in one direction: of the same seed the same ones."""

    def __init__(self, harm: Harm, link: str, stream: Stream) -> None:
        self._shares = harm.shares
        self._random = random.Random(f"{harm.seed} {link} {stream}")  # noqa: S311 - not a secret

    def fate(self) -> Fate:
        """That of the next packet."""
        drawn = self._random.random()
        for fate, share in self._shares.items():
            if drawn < share:
                return fate
            drawn -= share
        return Fate.PASSED

    def damaged(self, packet: bytes) -> bytes:
        """The packet with one bit changed behind its IP header: TCP's checksum always shows that,
        and the receiver drops it.
        """
        changed = bytearray(packet)
        bit = self._random.randrange(8 * _header_bytes(packet), 8 * len(packet))
        changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)


@dataclass(frozen=True)
class Segment:
    """A packet of TCP: its ports, the place of its first byte in the stream, and how many."""

    source: int
    to: int
    sequence: int
    size_bytes: int
    opens: bool


def _header_bytes(packet: bytes) -> int:
    return 4 * (packet[0] & 15)


def segment_of(packet: bytes) -> Segment | None:
    """That of a whole IPv4 packet; None where it is something else."""
    if len(packet) < 40 or packet[0] >> 4 != 4 or packet[9] != _TCP:
        return None
    begin = _header_bytes(packet)
    (total,) = struct.unpack_from("!H", packet, 2)
    (fragment,) = struct.unpack_from("!H", packet, 6)
    if fragment & _MORE_FRAGMENTS_OR_OFFSET or len(packet) < begin + 20:
        return None
    source, to, sequence = struct.unpack_from("!HHI", packet, begin)
    payload = total - begin - 4 * (packet[begin + 12] >> 4)
    return Segment(source, to, sequence, max(0, payload), bool(packet[begin + 13] & _SYN))


@dataclass
class Progress:
    """How far the streams of a link's connections are, by the port of the client."""

    _ends: dict[tuple[int, Stream], int] = field(default_factory=dict)

    def is_sent_again(self, port: int, stream: Stream, segment: Segment) -> bool:
        """Whether its sender has sent some of these bytes before; take the segment in."""
        key, end = (port, stream), (segment.sequence + segment.size_bytes) % _SEQUENCES
        known = self._ends.get(key)
        if known is None or segment.opens:
            self._ends[key] = (end + segment.opens) % _SEQUENCES
            return False
        if not segment.size_bytes:
            return False  # an acknowledgement, or the sign of life of an idle connection
        if _is_before(known, end):
            self._ends[key] = end
        return _is_before(segment.sequence, known)


def _is_before(first: int, second: int) -> bool:
    """In the order of sequence numbers, which begin again at 0 after the last one."""
    return 0 < (second - first) % _SEQUENCES < _SEQUENCES // 2


class Opened(Record):
    """A link leads from the client's own network to what is `upstream`."""

    event: Literal["opened"] = "opened"
    link: str
    listen: str
    upstream: str


class Began(Record):
    """From now on packets of the link are harmed."""

    event: Literal["began"] = "began"
    link: str
    harm: Harm


class Harmed(Record):
    """A packet did not just pass. `port` is the client's, of the connection; `sequence` and
    `size_bytes` are those of its data. One that is reordered was `overtaken_by` so many.
    """

    event: Literal["harmed"] = "harmed"
    link: str
    stream: Stream
    fate: Fate
    port: int
    sequence: int
    size_bytes: int
    overtaken_by: int = 0


class SentAgain(Record):
    """TCP has sent data once more, as it does when an acknowledgement does not come."""

    event: Literal["sent_again"] = "sent_again"
    link: str
    stream: Stream
    port: int
    sequence: int
    size_bytes: int


class Ended(Record):
    """All packets of the link pass again. `counts`: how many had each fate, in both directions."""

    event: Literal["ended"] = "ended"
    link: str
    counts: Mapping[Fate, int]


PacketRecord = Annotated[Opened | Began | Harmed | SentAgain | Ended, Field(discriminator="event")]
_RECORD: TypeAdapter[PacketRecord] = TypeAdapter(PacketRecord)


def read_packets(case: Path, link: str) -> Sequence[PacketRecord]:
    """The records of a link of a case, in order. An unfinished last line is left out. Raises
    NetworkJournalError for any other damage.
    """
    file = case / FOLDER / f"{link.partition('>')[0]}.jsonl"
    found = []
    for number, line in enumerate((read_if_there(file) or b"").split(b"\n")[:-1], start=1):
        try:
            found.append(_RECORD.validate_json(line))
        except ValidationError:
            raise NetworkJournalError(
                f"Line {number} of the journal {file} is damaged: keep the file as evidence."
            ) from None
    return [record for record in found if record.link == link]

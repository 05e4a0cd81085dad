"""Proof that packets of a link were lost, damaged or reordered, by the record of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Event
from chaos.invariants import Invariant, proof
from chaos.network.packets import (
    PACKETS,
    PARTITION,
    Began,
    Ended,
    Fate,
    Harmed,
    PacketRecord,
    SentAgain,
    read_packets,
)

_TOLD = {
    Fate.LOST: "was lost, and then sent again by TCP",
    Fate.CORRUPTED: "was damaged, and then sent again by TCP",
    Fate.REORDERED: "was overtaken by a later one",
    Fate.DUPLICATED: "came twice",
}


def packets_were_hit(link: str) -> Invariant:
    """Proof: each time that packets of the link were to be harmed, some with data were, in each way
    that was asked for. What was lost or damaged was then sent again by TCP; what was reordered was
    overtaken.
    """

    @proof(f"packets_were_hit[{link}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        announced = [
            entry.at
            for entry in evidence.journal
            if entry.event is Event.FAULT
            and entry.target == link
            and entry.kind in {PACKETS, PARTITION}
        ]
        records = read_packets(evidence.folder, link)
        begun = [n for n, record in enumerate(records) if isinstance(record, Began)]
        if not announced:
            yield f"no packets of {link} were to be harmed"
        elif len(begun) < len(announced) or records[begun[0]].at < announced[0]:
            yield f"packets of {link} were to be harmed {len(announced)} times: {len(begun)} did"
        for number in begun:
            yield from _missing(link, records[number:])

    return judge


def _missing(link: str, records: Sequence[PacketRecord]) -> Iterator[str]:
    """What a harm, the first of these records, did not do until it ended."""
    first = records[0]
    if not isinstance(first, Began):
        return
    end = next((n for n, r in enumerate(records) if isinstance(r, Ended)), len(records))
    for fate, share in first.harm.shares.items():
        hits = [
            (number, record)
            for number, record in enumerate(records[:end])
            if isinstance(record, Harmed) and record.fate is fate and record.size_bytes
        ]
        if share and not any(_shows(hit, records[number:]) for number, hit in hits):
            yield f"no packet with data on {link} {_TOLD[fate]} ({len(hits)} {fate})"


def _shows(hit: Harmed, later: Sequence[PacketRecord]) -> bool:
    """Whether a packet was hit, and what follows from that is on record as well."""
    if hit.fate is Fate.REORDERED:
        return hit.overtaken_by > 0
    if hit.fate is Fate.DUPLICATED:
        return True
    return any(_repeats(record, hit) for record in later)


def _repeats(record: PacketRecord, hit: Harmed) -> bool:
    """Whether TCP sent the first byte of a packet again: perhaps in one of another size."""
    if not isinstance(record, SentAgain):
        return False
    same = (record.stream, record.port) == (hit.stream, hit.port)
    return same and (hit.sequence - record.sequence) % (1 << 32) < record.size_bytes

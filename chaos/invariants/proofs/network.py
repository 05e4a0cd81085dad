"""Proofs that toxics hit a link, by the journal of its proxy."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Event
from chaos.invariants import Invariant, proof
from chaos.network.journal import (
    Closed,
    Hit,
    NetworkRecord,
    PutOn,
    TakenOff,
    Unreachable,
    read_links,
)


def network_was_hit(link: str, toxic_types: Collection[str]) -> Invariant:
    """Proof: each of these toxics was on the link after its fault began, and had an effect on a
    connection before it was taken off. A toxic that cuts the link has its effect on open
    connections, or on a client that cannot connect.
    """

    @proof(f"network_was_hit[{link}: {', '.join(toxic_types)}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        records = read_links(evidence.folder).get(link, ())
        if not records:
            yield f"{link} has no journal"
        for kind in toxic_types:
            announced = _announced(evidence, link, kind)
            if announced is None:
                yield f"{kind} at {link} was not announced"
                continue
            spans = list(_spans(records, kind, announced))
            if not spans:
                yield f"{kind} was not put on {link}"
            elif not any(_has_effect(span) for span in spans):
                yield f"{kind} was on {link}, and hit no connection"

    return judge


def _announced(evidence: Evidence, link: str, kind: str) -> datetime | None:
    """When the fault began: the one of that kind, or else any at that link."""
    faults = [e for e in evidence.journal if e.event is Event.FAULT and e.target == link]
    of_kind = [fault for fault in faults if fault.kind == kind]
    return next((fault.at for fault in of_kind or faults), None)


def _spans(
    records: Sequence[NetworkRecord], kind: str, after: datetime
) -> Iterator[Sequence[NetworkRecord]]:
    """The times from each start of such a toxic until its end, or the end of the run."""
    for number, record in enumerate(records):
        if isinstance(record, PutOn) and record.toxic.type == kind and record.at >= after:
            name = record.name
            end = next(
                (
                    n
                    for n, later in enumerate(records[number:], start=number)
                    if isinstance(later, TakenOff) and later.name == name
                ),
                len(records),
            )
            yield records[number:end]


def _has_effect(span: Sequence[NetworkRecord]) -> bool:
    begin = span[0]
    if not isinstance(begin, PutOn):
        return False
    return any(
        (isinstance(record, Hit) and record.name == begin.name)
        or (isinstance(record, Closed) and record.because == begin.name)
        or (isinstance(record, Unreachable) and begin.toxic.refuses)
        for record in span
    )

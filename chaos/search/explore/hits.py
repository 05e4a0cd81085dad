"""What a try's evidence tells of its hit: which call was held, and which process died for it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.search.explore.points import Phase, Stop
from chaos.wire.boundary import Crossing
from chaos.wire.journal import Called, Reached, WireRecord, read_wire, service_of


@dataclass(frozen=True)
class Hit:
    """A call that came to a stop `at` a time, by the wire; `crossings` are all where it was then.

    `fault` is what was done there, by the journal, and `gone_at` when its worker was seen to be
    gone, if it was killed.
    """

    at: datetime
    crossing: Crossing
    crossings: tuple[Crossing, ...]
    fault: Entry | None = None
    gone_at: datetime | None = None

    @property
    def pid(self) -> int | None:
        """The worker that was killed."""
        return self.fault.pid if self.fault else None

    @property
    def over_at(self) -> datetime:
        """From when on the dead worker does nothing any more."""
        return self.gone_at or self.at


def hit_of(evidence: Evidence, stop: Stop) -> Hit | None:
    """The hit of a stop in a try's folder; None where no call came there."""
    own = {evidence.real_id(spec.workflow_id) for spec in evidence.specs}
    for line, records in read_wire(evidence.folder).items():
        if service_of(line) != stop.service:
            continue
        for record in records:
            if isinstance(record, Reached) and _is_at(record.crossing, stop, own):
                return _hit(evidence, records, record)
    return None


def _is_at(reached: Crossing, stop: Stop, own: Collection[str]) -> bool:
    """Calls of services were counted by the breakpoint; a child may have a boundary of the same
    words as its parent.
    """
    if stop.service:
        counted = reached.boundary.model_copy(update={"ordinal": stop.boundary.ordinal})
        return counted == stop.boundary
    return reached.boundary == stop.boundary and stop.is_own is (reached.workflow_id in own)


def _hit(evidence: Evidence, records: Sequence[WireRecord], reached: Reached) -> Hit:
    done = (e for e in evidence.journal if e.event is Event.FAULT and e.passage == reached.passage)
    fault = next(done, None)
    pid = fault.pid if fault else None
    gone = evidence.first_entry(Event.EXITED, after=reached.at, pid=pid) if pid else None
    return Hit(
        at=reached.at,
        crossing=reached.crossing,
        crossings=_crossings(records, reached),
        fault=fault,
        gone_at=gone.at if gone else None,
    )


def _crossings(records: Sequence[WireRecord], reached: Reached) -> tuple[Crossing, ...]:
    """All that the call was at with it: of its record, which is written when it is over."""
    phase = Phase.of(reached.crossing.boundary.stage)
    for call in records:
        if (
            isinstance(call, Called)
            and call.at <= reached.at
            and reached.crossing in call.crossings
        ):
            return tuple(c for c in call.crossings if Phase.of(c.boundary.stage) is phase)
    return (reached.crossing,)

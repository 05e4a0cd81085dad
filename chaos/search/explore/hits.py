"""What a try's evidence tells of its hit: which call was held, and which process died for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Event
from chaos.search.explore.points import Phase, Stop, service_of
from chaos.wire.boundary import Crossing
from chaos.wire.control import Decision
from chaos.wire.journal import Called, Decided, Reached, WireRecord, read_wire

LEFT = "left"
"""What became of a call whose worker was gone."""

Wire = Mapping[str, Sequence[WireRecord]]


@dataclass(frozen=True)
class Hit:
    """A call that came to a stop `at` a time, by the wire; `crossings` are all where it was then.

    `decision` is what became of it, empty where nothing was held. `pid` was sent a SIGKILL after
    that, and `gone_at` is when it was seen to be gone.
    """

    at: datetime
    crossing: Crossing
    crossings: tuple[Crossing, ...]
    decision: str
    pid: int | None = None
    exit_code: int | None = None
    gone_at: datetime | None = None

    @property
    def over_at(self) -> datetime:
        """From when on the dead worker does nothing any more."""
        return self.gone_at or self.at

    @property
    def is_lost(self) -> bool:
        """Whether the call went no further."""
        return self.decision in {LEFT, Decision.DROP, Decision.SILENCE}


def hit_of(evidence: Evidence, stop: Stop) -> Hit | None:
    """The hit of a stop in a try's folder; None where no call came there."""
    own = {evidence.real_id(spec.workflow_id) for spec in evidence.specs}
    for line, records in read_wire(evidence.folder).items():
        if service_of(line) != stop.service:
            continue
        for record in records:
            if isinstance(record, Reached) and _is_at(record.crossing, stop, own):
                return _with_the_end(evidence, _held(records, record))
    return None


def _is_at(reached: Crossing, stop: Stop, own: Collection[str]) -> bool:
    """Calls of services were counted by the breakpoint; a child may have a boundary of the same
    words as its parent.
    """
    if stop.service:
        counted = reached.boundary.model_copy(update={"ordinal": stop.boundary.ordinal})
        return counted == stop.boundary
    return reached.boundary == stop.boundary and stop.is_own is (reached.workflow_id in own)


def _held(records: Sequence[WireRecord], reached: Reached) -> Hit:
    decided = (r for r in records if isinstance(r, Decided) and r.passage == reached.passage)
    decision = next((record.decision for record in decided), "")
    return Hit(reached.at, reached.crossing, _crossings(records, reached), decision)


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


def _with_the_end(evidence: Evidence, hit: Hit) -> Hit:
    killed = evidence.first_entry(Event.SIGNALED, after=hit.at, signal="SIGKILL")
    if killed is None or killed.pid is None:
        return hit
    gone = evidence.first_entry(Event.EXITED, after=hit.at, pid=killed.pid)
    return replace(
        hit,
        pid=killed.pid,
        exit_code=gone.exit_code if gone else None,
        gone_at=gone.at if gone else None,
    )

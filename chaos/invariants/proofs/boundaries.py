"""Proof that a fault hit a call at the planned boundary."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Event
from chaos.invariants import Invariant, proof
from chaos.invariants.recovery.boundaries import why_missed
from chaos.wire.boundary import Boundary


def hit_at(boundary: str | Boundary, action: str = "kill", workflow_id: str = "") -> Invariant:
    """A call was at that boundary, of that workflow if it is named, and the fault hit it there:
    `kill`, `pause`, `drop`, `silence`, `fail` or `delay`. Raises BoundaryError.
    """
    wanted = Boundary.parse(boundary) if isinstance(boundary, str) else boundary
    place = str(wanted)
    kind = action.partition(":")[0]

    @proof(f"hit_at[{place}: {kind}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        faults = [
            entry
            for entry in evidence.journal
            if entry.event is Event.FAULT
            and entry.kind == kind
            and entry.boundary
            and wanted.covers(Boundary.parse(entry.boundary))
            and workflow_id in {"", entry.workflow_id}
        ]
        of = f" of {workflow_id}" if workflow_id else ""
        if not faults:
            yield f"no {kind} came to {place}{of}"
        missed = [why for fault in faults if (why := why_missed(evidence, fault))]
        if len(missed) == len(faults):
            yield from missed

    return judge

"""Whether a fault hit a call at the planned boundary, by the wire's own journal."""

from __future__ import annotations

import signal
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.invariants import Invariant, proof
from chaos.wire.boundary import Boundary, Stage
from chaos.wire.journal import LEFT, Decided, Reached, read_wire
from chaos.wire.specs import Decision

_OF_WORKERS = frozenset({"kill", "pause"})

_DECIDED_AS: Mapping[str, Collection[str]] = {
    "kill": {Decision.DROP, LEFT},
    "drop": {Decision.DROP},
    "silence": {Decision.SILENCE},
    "delay": {Decision.RESUME},
}


def hit_at(boundary: str | Boundary, action: str = "kill", workflow_id: str = "") -> Invariant:
    """Proof: a call was at that boundary, and the fault hit it there. Raises BoundaryError.

    Args:
        boundary: such as `activity charge_card completed`.
        action: `kill`, `pause`, `drop`, `silence`, `fail` or `delay`.
        workflow_id: of this workflow; empty: of any.

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
            yield f"no {kind} reached {place}{of}"
        missed = [why for fault in faults if (why := why_missed(evidence, fault))]
        if len(missed) == len(faults):
            yield from missed

    return judge


def why_missed(evidence: Evidence, fault: Entry) -> str | None:
    """Why a fault at a boundary is not proven to have hit it; None if it is: the wire had the call
    there and applied the fault to it, and a killed worker was seen to end.
    """
    what = f"the {fault.kind} at {fault.boundary}"
    records = [each for line in read_wire(evidence.folder).values() for each in line]
    reached = next(
        (r for r in records if isinstance(r, Reached) and r.passage == fault.passage), None
    )
    if reached is None or str(reached.crossing.boundary) != fault.boundary:
        return f"{what} hit nothing: the wire had no call there"
    decided = next(
        (r for r in records if isinstance(r, Decided) and r.passage == fault.passage), None
    )
    # A worker that dies of what it was given may never have come to report it.
    may_be_silent = reached.crossing.boundary.stage is Stage.DELIVERED and (
        fault.kind in _OF_WORKERS
    )
    if not decided and not may_be_silent:
        return f"{what} hit nothing: the call was not decided before the wire ended"
    wanted = _DECIDED_AS.get(fault.kind or "")
    if wanted and decided and decided.decision not in wanted:
        return f"{what} hit nothing: the decision on the call was {decided.decision!r}"
    if fault.kind in _OF_WORKERS and not _was_hit(evidence, fault, reached.at):
        return f"{what} hit nothing: {fault.target} (pid {fault.pid}) got no signal, or survived it"
    return None


def _was_hit(evidence: Evidence, fault: Entry, reached_at: datetime) -> bool:
    """Whether the worker was seen to end by its SIGKILL, or got its SIGSTOP."""
    name = "SIGKILL" if fault.kind == "kill" else "SIGSTOP"
    sent = evidence.first_entry(Event.SIGNALED, after=reached_at, pid=fault.pid, signal=name)
    if sent is None or fault.kind == "pause":
        return sent is not None
    gone = evidence.first_entry(Event.EXITED, after=sent.at, pid=fault.pid)
    # Of a supervisor's worker the harness is not the parent, so its exit code is not known.
    return gone is not None and gone.exit_code in {-signal.SIGKILL, None}

"""Whether a fault hit the boundary that it was meant for, by the wire's own journal."""

from __future__ import annotations

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.wire.boundary import Stage
from chaos.wire.journal import Decided, Reached, read_wire

_OF_WORKERS = frozenset({"kill", "pause"})
_DECIDED_AS = {"drop": "drop", "silence": "silence", "delay": "resume"}


def why_missed(evidence: Evidence, fault: Entry) -> str | None:
    """Why a fault at a boundary is not proven to have hit it; None where it is: the wire had the
    call there and did with it what the fault is, and who was killed was seen to end.
    """
    what = f"the {fault.kind} at {fault.boundary}"
    records = [each for line in read_wire(evidence.folder).values() for each in line]
    reached = [r for r in records if isinstance(r, Reached) and r.passage == fault.passage]
    if not reached or str(reached[0].crossing.boundary) != fault.boundary:
        return f"{what} hit nothing: the wire had no call there"
    decided = [r for r in records if isinstance(r, Decided) and r.passage == fault.passage]
    # Who dies of what it was given may never have come to report it.
    may_be_silent = reached[0].crossing.boundary.stage is Stage.DELIVERED and (
        fault.kind in _OF_WORKERS
    )
    if not decided and not may_be_silent:
        return f"{what} hit nothing: nothing became of the call before the wire ended"
    wanted = _DECIDED_AS.get(fault.kind or "")
    if wanted and decided and decided[0].decision != wanted:
        return f"{what} hit nothing: what became of the call is {decided[0].decision!r}"
    if fault.kind in _OF_WORKERS and not _was_hit(evidence, fault):
        return f"{what} hit nothing: {fault.target} (pid {fault.pid}) got no signal, or lived on"
    return None


def _was_hit(evidence: Evidence, fault: Entry) -> bool:
    """Whether the worker was seen to end after its SIGKILL, or got its SIGSTOP."""
    name = "SIGKILL" if fault.kind == "kill" else "SIGSTOP"
    told = evidence.first_entry(Event.SIGNALED, after=fault.at, pid=fault.pid, signal=name)
    if told is None or fault.kind == "pause":
        return told is not None
    return evidence.first_entry(Event.EXITED, after=told.at, pid=fault.pid) is not None

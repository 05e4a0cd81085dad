"""What the proofs look for in the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from chaos.evidence.case import Evidence
from chaos.evidence.history import Activity
from chaos.evidence.journal import Entry, Event
from chaos.invariants.recovery.faults import is_of_a_fleet


def killed(evidence: Evidence, target: str, after: datetime | None = None) -> Entry | None:
    """The SIGKILL that a process got and died of."""
    kill = evidence.first_entry(Event.SIGNALED, after=after, target=target, signal="SIGKILL")
    return kill if kill and died_of_it(evidence, kill) else None


def died_of_it(evidence: Evidence, kill: Entry) -> Entry | None:
    """The end of a process that had got SIGKILL; a fleet alone knows its workers' exit codes."""
    gone = evidence.first_entry(Event.EXITED, after=kill.at, pid=kill.pid)
    codes = {-9, None} if is_of_a_fleet(kill.target or "") else {-9}
    return gone if gone and gone.exit_code in codes else None


def were_gone_at_once(evidence: Evidence, kills: Sequence[Entry]) -> bool:
    """Whether all who died had ended before any was started again, where that was done at all."""
    ends = [gone for kill in kills if (gone := died_of_it(evidence, kill))]
    starts = [evidence.first_entry(Event.STARTED, after=k.at, target=k.target) for k in kills]
    last = max((gone.at for gone in ends), default=None)
    return last is not None and all(last < again.at for again in starts if again)


def lasted(activity: Activity, start: datetime, end: datetime) -> bool:
    """Whether an attempt began before and its activity ended after."""
    return (
        activity.started_at is not None
        and activity.closed_at is not None
        and activity.started_at < start
        and end < activity.closed_at
    )

"""The process that a fault of a worker, or of its line to the server, hit, and for how long."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from chaos.environment.memory import KERNEL, WATCHER
from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.invariants.recovery.faults import (
    COMMAND,
    Component,
    component_of,
    identities,
    is_over_by,
    leaves_it_alive,
    struck_at,
)


@dataclass(frozen=True)
class Victim:
    """The process that a fault hit, and for how long: until a killed one had ended, or a paused one
    continued.

    `identities` are those under which it was seen to poll, `others` those of the others; `shared`
    are the ones of its own that another had as well, while the fault lasted. If the journal has
    none, the SDK's own counts, `pid@host`: `pids` are the victim's, `known` those of all processes
    in the journal.
    """

    start: datetime
    end: datetime
    pids: frozenset[str]
    known: frozenset[str]
    lives: bool
    identities: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()

    def may_be(self, identity: str) -> bool:
        """Whether it can be the victim's. One that the journal does not know may be anybody's."""
        if identity in self.identities or identity in self.others:
            return identity in self.identities
        pid = identity.partition("@")[0]
        return pid in self.pids or pid not in self.known

    def is_surely(self, identity: str) -> bool:
        """The same, unless another had that identity as well."""
        return self.may_be(identity) and identity not in self.shared

    def is_known_as(self, identity: str) -> bool:
        """Whether it is the victim's alone, by the journal, and not just of nobody else."""
        is_own = identity in self.identities or identity.partition("@")[0] in self.pids
        return is_own and self.is_surely(identity)

    def overlaps(self, start: datetime, end: datetime | None) -> bool:
        """Whether something lasted while the fault did."""
        return start <= self.end and (end is None or end > self.start)


def victim_of(evidence: Evidence, fault: Entry) -> Victim:
    """The victim, by the journal."""
    if fault.kind == COMMAND:
        return _named_by(evidence, fault)
    pids = {fault.pid} if fault.pid else set(_pids(evidence, fault))
    end = _end(evidence, fault, pids)
    ready = [entry for entry in evidence.journal if entry.event is Event.READY]
    others = [entry for entry in ready if entry.pid not in pids]
    own = _identities(entry for entry in ready if entry.pid in pids)
    beside = _identities(each for each in others if _was_there(evidence, each, fault.at, end))
    return Victim(
        start=fault.at,
        end=end,
        pids=frozenset(map(str, pids)),
        known=frozenset(str(entry.pid) for entry in evidence.journal if entry.pid),
        lives=leaves_it_alive(fault) or is_of_a_link(fault),
        identities=own,
        others=_identities(others) - own,
        shared=own & beside,
    )


def _named_by(evidence: Evidence, command: Entry) -> Victim:
    """The workers that a command names, by their identities or by their hosts. The harness has seen
    none of them: what the histories have of others is not theirs.
    """
    known = identities(evidence)
    own = {each for each in known if {each, each.rpartition("@")[2]} & set(command.identities)}
    return Victim(
        start=command.at,
        end=struck_at(evidence, command),
        pids=frozenset(),
        known=frozenset(),
        lives=False,
        identities=frozenset(own | set(command.identities)),
        others=known - own,
    )


def _identities(ready: Iterable[Entry]) -> frozenset[str]:
    return frozenset(identity for entry in ready for identity in entry.identities)


def _was_there(evidence: Evidence, ready: Entry, start: datetime, end: datetime) -> bool:
    """Whether a process that was once ready ran during a fault. It polls before it is ready."""
    begun = evidence.first_entry(Event.STARTED, pid=ready.pid) or ready
    gone = evidence.first_entry(Event.EXITED, after=ready.at, pid=ready.pid)
    return begun.at <= end and (gone is None or gone.at > start)


def is_of_a_link(fault: Entry) -> bool:
    """Whether it lies between the server and a worker; workers of a supervisor share one."""
    return (fault.target or "").startswith("worker-") and component_of(fault) is Component.SERVER


def _pids(evidence: Evidence, fault: Entry) -> Iterator[int]:
    """Those of its target that got a signal or were ended while it lasted."""
    over = is_over_by(evidence, fault)
    worker = (fault.target or "").partition(">")[0]
    for entry in evidence.journal if is_of_a_link(fault) else ():
        if entry.event is Event.READY and entry.target == worker and entry.pid:
            yield entry.pid
    for entry in evidence.journal:
        told = entry.event is Event.SIGNALED or entry.kind in {KERNEL, WATCHER}
        if told and entry.target == fault.target and entry.pid and fault.at <= entry.at <= over:
            yield entry.pid


def _end(evidence: Evidence, fault: Entry, pids: Collection[int]) -> datetime:
    """When the last of them had ended, or continued."""
    ends = []
    for pid in pids:
        gone = evidence.first_entry(Event.EXITED, after=fault.at, pid=pid)
        woken = evidence.first_entry(Event.SIGNALED, after=fault.at, pid=pid, signal="SIGCONT")
        ends += [entry.at for entry in (gone, woken) if entry]
    if is_of_a_link(fault):
        return is_over_by(evidence, fault)
    if leaves_it_alive(fault):
        return min([*ends, is_over_by(evidence, fault)])
    return max(ends, default=fault.at)

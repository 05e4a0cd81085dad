"""No process ends unexpectedly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.invariants import invariant

DEADLY_SIGNALS = frozenset({"SIGKILL", "SIGTERM"})
DEADLY_KINDS = frozenset({"out_of_memory", "crash_loop", "truncated", "wrong_settings"})
"""Faults by which a process ends by itself, as planned; the last two at its start."""

SEEN_SECONDS = 5.0
"""How much later than its cause the end of a process may be seen, on a busy machine."""

_ENDING_KINDS = DEADLY_KINDS | {"kill", "terminate"}


@invariant
def no_unplanned_exit(evidence: Evidence) -> Iterator[str]:
    """Every exit before the stack is stopped has a signal, or a fault that explains it."""
    killed: set[int | None] = set()
    for entry in _until_the_end(evidence.journal):
        if entry.event is Event.STARTED:
            killed.discard(entry.pid)  # a new process may get an old number
        elif entry.event is Event.SIGNALED and entry.signal in DEADLY_SIGNALS:
            killed.add(entry.pid)
        elif (
            entry.event is Event.EXITED
            and entry.pid not in killed
            and not any(_foretells(evidence, fault, entry) for fault in evidence.journal)
        ):
            yield f"{entry.target} (pid {entry.pid}) ended by itself, code {entry.exit_code}"


def _until_the_end(journal: Sequence[Entry]) -> Sequence[Entry]:
    """The entries before the stack was stopped. Older journals without the entry `ending` end with
    the exits that the stop caused.
    """
    for number, entry in enumerate(journal):
        if entry.event is Event.ENDING:
            return journal[:number]
    last = max((n for n, e in enumerate(journal) if e.event is not Event.EXITED), default=-1)
    return journal[: last + 1]


def _foretells(evidence: Evidence, fault: Entry, gone: Entry) -> bool:
    """Whether a fault names that process, or is to end those of its name while it lasts."""
    if fault.event is not Event.FAULT or fault.target != gone.target or fault.at > gone.at:
        return False
    if fault.pid is not None:
        return fault.kind in _ENDING_KINDS and fault.pid == gone.pid
    healed = evidence.first_entry(Event.HEALED, after=fault.at, target=fault.target)
    return fault.kind in DEADLY_KINDS and (healed is None or _seconds(healed, gone) <= SEEN_SECONDS)


def _seconds(before: Entry, after: Entry) -> float:
    return (after.at - before.at).total_seconds()

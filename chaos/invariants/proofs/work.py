"""Proof that faults hit work in flight: a fault that hit nothing proves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.invariants import Invariant, proof
from chaos.invariants.recovery import met_work


def faults_met_work(*, all_kinds: bool) -> Invariant:
    """Each kind of fault at each target hit work at least once, and there was one. For a schedule
    drawn at random, any fault suffices.
    """

    @proof("faults_met_work")
    def judge(evidence: Evidence) -> Iterator[str]:
        faults = [entry for entry in evidence.journal if entry.event is Event.FAULT]
        if all_kinds and not faults:
            yield (
                "it hit nothing: no fault is on record. Use `lab.signal` or `lab.during`, "
                "or, where nothing is broken, set `undisturbed=True`"
            )
        groups = [[*found] for _, found in groupby(sorted(faults, key=_what), key=_what)]
        missed = [each for each in groups if not any(met_work(evidence, fault) for fault in each)]
        if all_kinds or sum(map(len, missed)) == len(faults):
            for group in missed:
                yield f"it hit nothing: {_told(group)} hit no work in flight"

    return judge


@proof("names_a_proof")
def names_a_proof(evidence: Evidence) -> Iterator[str]:
    """The proof of a case that has none: it always fails."""
    del evidence
    yield (
        "the case names no proof that its fault hit, so nothing was proven: name one in `proofs`, "
        "or, where nothing is broken, set `undisturbed=True`"
    )


@proof("is_undisturbed")
def is_undisturbed(evidence: Evidence) -> Iterator[str]:
    """A case that is declared undisturbed has no fault, and no process gets a signal before the
    harness stops the stack.
    """
    faults = [entry for entry in evidence.journal if entry.event is Event.FAULT]
    for fault in faults:
        yield f"the case is declared undisturbed, and its journal has {_told([fault])}"
    for entry in evidence.journal if not faults else ():
        if entry.event is Event.SIGNALED and not _is_of_the_end(evidence, entry):
            yield f"the case is declared undisturbed, and {entry.target} got {entry.signal}"


def _is_of_the_end(evidence: Evidence, entry: Entry) -> bool:
    ending = evidence.first_entry(Event.ENDING)
    return ending is not None and entry.at >= ending.at


def _what(fault: Entry) -> tuple[str, str]:
    return (fault.kind or "", fault.target or "")


def _told(faults: list[Entry]) -> str:
    times = f" ({len(faults)} times)" if len(faults) > 1 else ""
    return f"{faults[0].kind} at {faults[0].target}{times}"

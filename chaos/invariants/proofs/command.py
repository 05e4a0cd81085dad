"""Proof that a command of the user's hit work in flight, by its own proof and by the histories."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Entry, Event
from chaos.invariants import Invariant, proof
from chaos.invariants.recovery import first_retries
from chaos.invariants.recovery.faults import (
    COMMAND,
    COMMAND_ENDED,
    COMMAND_PROOF,
    is_over_by,
    struck_at,
)
from chaos.invariants.recovery.in_flight import had_in_flight, was_at_work
from chaos.invariants.recovery.victims import victim_of


def command_hit(name: str) -> Invariant:
    """Proof: a `CommandFault` of that name hit work. Its `proof`, if it has one, succeeded before
    it was healed. If it names `workers`, one of them had a task in flight, or the state of a
    workflow, or an attempt was lost. If it names none, an attempt was lost or failed after it; or,
    with a proof, something was in flight anywhere when that succeeded.
    """

    @proof(f"command_hit[{name}]")
    def judge(evidence: Evidence) -> Iterator[str]:
        faults = [
            entry
            for entry in evidence.journal
            if entry.event is Event.FAULT and (entry.kind, entry.target) == (COMMAND, name)
        ]
        if not faults:
            yield f"no command {name} was begun"
        missed = [why for fault in faults if (why := _why_missed(evidence, fault))]
        if len(missed) == len(faults):
            yield from dict.fromkeys(missed)

    return judge


def _why_missed(evidence: Evidence, fault: Entry) -> str | None:
    """Why a command is not proven to have hit anything; None if it is."""
    name = fault.target
    ended = _told(evidence, fault, COMMAND_ENDED)
    if ended is None or ended.exit_code != 0:
        return f"{name} hit nothing: the command did not succeed"
    shown = _told(evidence, fault, COMMAND_PROOF)
    if shown and shown.exit_code != 0:
        return f"{name} hit nothing: its proof did not succeed: {shown.text}"
    why = _no_worker(evidence, fault) if fault.identities else _no_work(evidence, fault, shown)
    return f"{name} {why}" if why else None


def _no_worker(evidence: Evidence, fault: Entry) -> str:
    """Why none of the workers that it names was hit; empty if one was."""
    victim = victim_of(evidence, fault)
    if any(had_in_flight(victim, each) for each in evidence.all_workflows):
        return ""
    return f"hit nothing: {', '.join(fault.identities)} had nothing in flight"


def _no_work(evidence: Evidence, fault: Entry, shown: Entry | None) -> str:
    """Why it hit none of anybody's work; empty if it did."""
    if _cost_an_attempt(evidence, fault):
        return ""
    if shown is None:
        return (
            "is not proven to have hit anything: no attempt was lost or failed after it, and it "
            "names no workers and no proof"
        )
    struck = struck_at(evidence, fault)
    if any(was_at_work(each, fault.at, struck) for each in evidence.all_workflows):
        return ""
    return "hit nothing: nothing was in flight when its proof succeeded"


def _told(evidence: Evidence, fault: Entry, kind: str) -> Entry | None:
    """What is on record of a command while it was in force."""
    over = is_over_by(evidence, fault)
    return next(
        (
            entry
            for entry in evidence.journal
            if entry.kind == kind and entry.target == fault.target and fault.at <= entry.at <= over
        ),
        None,
    )


def _cost_an_attempt(evidence: Evidence, fault: Entry) -> bool:
    """Whether an attempt that may have been in flight meanwhile was lost or failed."""
    retry = first_retries(evidence).get(fault.at)
    return retry is not None and retry.activity.scheduled_at <= is_over_by(evidence, fault)

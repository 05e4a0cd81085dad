"""What a case cost, and what it saved, computed from evidence only. All amounts are in USD."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from chaos.evidence.bills import InDoubt, Thing
from chaos.evidence.case import Evidence
from chaos.evidence.history import Status, Workflow
from chaos.evidence.journal import Event

ZERO = Decimal(0)
_BLOWS = frozenset({"kill", "terminate"})
"""Kinds of faults that hit a process; others lose nothing that a checkpoint keeps."""


def billed_usd(evidence: Evidence) -> Decimal:
    """All that was billed."""
    return sum((bill.amount_usd for bill in evidence.bills), ZERO)


def ideal_usd(evidence: Evidence) -> Decimal:
    """What an undisturbed run would have cost."""
    return sum((_due_usd(evidence, thing, n) for thing, n in _due(evidence).items()), ZERO)


def waste_usd(evidence: Evidence) -> Decimal:
    """What was billed beyond the ideal, summed per charge: a missing bill offsets none."""
    due = _due(evidence)
    billed: defaultdict[Thing, Decimal] = defaultdict(Decimal)
    for bill in evidence.bills:
        billed[bill.thing] += bill.amount_usd
    return sum(
        (
            max(ZERO, amount - _due_usd(evidence, thing, due[thing]))
            for thing, amount in billed.items()
        ),
        ZERO,
    )


def _due(evidence: Evidence) -> Counter[Thing]:
    return sum((spec.due for spec in evidence.newest_specs), Counter[Thing]())


def _due_usd(evidence: Evidence, thing: Thing, times: int) -> Decimal:
    """At the target's price; without one, the amount of so many first bills."""
    price = evidence.billing.prices_usd.get(thing[0])
    if price is not None:
        return price * times
    amounts = [bill.amount_usd for bill in evidence.bills if bill.thing == thing]
    return sum(amounts[:times], ZERO)


def possible_waste_usd(calls: Sequence[InDoubt]) -> Decimal:
    """What these calls cost if every one was billed."""
    return sum((call.cost_usd for call in calls), ZERO)


def saved_usd(evidence: Evidence) -> Decimal:
    """What a restart from the beginning after each fault would have paid for again."""
    faults = [
        entry.at
        for entry in evidence.journal
        if entry.event is Event.FAULT and entry.kind in _BLOWS
    ]
    return sum((_saved_at(evidence, fault_at) for fault_at in faults), ZERO)


def _saved_at(evidence: Evidence, fault_at: datetime) -> Decimal:
    """What was paid for before the fault and not again, of the workflows that survived it."""
    bills = [bill for bill in evidence.bills if bill.amount_usd]
    paid = {bill.thing: bill.amount_usd for bill in bills}
    later = {bill.thing for bill in bills if bill.at >= fault_at}
    needed = {
        thing
        for expected, workflow in evidence.specified_workflows()
        if _came_through(workflow, fault_at)
        for thing in +expected.due
    }
    return sum((paid[thing] for thing in needed & (paid.keys() - later)), ZERO)


def _came_through(workflow: Workflow, fault_at: datetime) -> bool:
    """Whether it was open then and completed later; otherwise nothing was saved."""
    return (
        workflow.status is Status.COMPLETED
        and workflow.closed_at is not None
        and workflow.started_at < fault_at < workflow.closed_at
    )

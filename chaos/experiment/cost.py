"""What a case cost, and what it did not, from evidence alone. All amounts are in USD."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from chaos.evidence.case import Evidence
from chaos.evidence.history import Status, Workflow
from chaos.evidence.journal import Event
from tests.chaos.video.fake_api.ledger import Item, Usd
from workflows.paid_calls import IN_DOUBT, State

ZERO = Decimal(0)
_BLOWS = frozenset({"kill", "terminate"})
"""Kinds of faults that strike a process; the others take nothing away that a checkpoint keeps."""

_Thing = tuple[Item, str]
"""What a bill is for, and its prompt."""


class AmbiguousCall(BaseModel):
    """A paid request that, by the workers' own ledger, may have been paid for in vain."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    operation_id: str
    step: str
    number: int
    item: str
    cost_usd: Usd
    state: State
    reason: str | None
    sent_at: AwareDatetime


def billed_usd(evidence: Evidence) -> Decimal:
    """All that the provider billed."""
    return sum((bill.amount_usd for bill in evidence.billed), ZERO)


def ideal_usd(evidence: Evidence) -> Decimal:
    """What an undisturbed run would have cost."""
    return sum(map(evidence.ideal_cost_usd, evidence.expectations), ZERO)


def waste_usd(evidence: Evidence) -> Decimal:
    """What was billed beyond the ideal, prompt by prompt: a missing bill makes up for none."""
    ideal = sum((expected.ideal for expected in evidence.expectations), Counter[_Thing]())
    billed: defaultdict[_Thing, Decimal] = defaultdict(Decimal)
    for bill in evidence.billed:
        billed[bill.item, bill.prompt] += bill.amount_usd
    return sum(
        (
            max(ZERO, amount - evidence.billing.prices_usd[item] * ideal[item, prompt])
            for (item, prompt), amount in billed.items()
        ),
        ZERO,
    )


def ambiguous_calls(evidence: Evidence) -> tuple[AmbiguousCall, ...]:
    """The requests whose reply did not come, or came when another had been sent in their place."""
    return tuple(
        AmbiguousCall.model_validate(call) for call in evidence.paid_calls if call.state in IN_DOUBT
    )


def possible_waste_usd(calls: Sequence[AmbiguousCall]) -> Decimal:
    """What these calls cost if the provider billed every one."""
    return sum((call.cost_usd for call in calls), ZERO)


def saved_usd(evidence: Evidence) -> Decimal:
    """What starting again from the beginning after each blow would have paid for once more."""
    blows = [
        entry.at
        for entry in evidence.journal
        if entry.event is Event.FAULT and entry.kind in _BLOWS
    ]
    return sum((_saved_at(evidence, blow) for blow in blows), ZERO)


def _saved_at(evidence: Evidence, blow: datetime) -> Decimal:
    """What was paid for before the blow and not again, of the workflows that came through it."""
    bills = [bill for bill in evidence.billed if bill.amount_usd]
    paid = {(bill.item, bill.prompt): bill.amount_usd for bill in bills}
    later = {(bill.item, bill.prompt) for bill in bills if bill.at >= blow}
    needed = {
        thing
        for expected, workflow in evidence.expected_workflows()
        if _came_through(workflow, blow)
        for thing in expected.ideal
    }
    return sum((paid[thing] for thing in needed & (paid.keys() - later)), ZERO)


def _came_through(workflow: Workflow, blow: datetime) -> bool:
    """Whether it was open then and completed later: of one that did not, nothing was saved."""
    return (
        workflow.status is Status.COMPLETED
        and workflow.closed_at is not None
        and workflow.started_at < blow < workflow.closed_at
    )

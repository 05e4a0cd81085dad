"""Paid requests as values: what is sent, what is known of it, and the state of a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from workflows.models import Artifact, Item, OpenCall, Record


class State(StrEnum):
    """What is known of one paid request."""

    INTENT = "intent"
    """It may be on its way; no outcome yet."""
    DONE = "done"
    """Its reply is known: the outcome of its step."""
    REFUSED = "refused"
    """Never sent, or known not to be billed."""
    IN_DOUBT = "ambiguous"
    """It may have been billed, and no reply will come."""
    LOST = "lost"
    """It may have been billed, and what it made can be fetched no more."""
    LATE = "late"
    """Its reply came when another request's was on record already: paid for in vain."""

    # The values stand in databases and evidence: "ambiguous" is what "in doubt" was called first.


@dataclass(frozen=True)
class PaidRequest:
    """What a step is about to pay for. `deadline_seconds` bounds the whole request.

    `made_from` is the step whose outcome it needs; `sent` is how many requests of the step the
    notes beside the artifacts say.
    """

    operation_id: str
    step: str
    item: Item
    model: str
    cost_usd: Decimal
    deadline_seconds: float
    made_from: str | None = None
    sent: int = 0


class PaidCall(Record):
    """One row: request `number` (from 1) of a step. `reason` says why it has no outcome; `sender`
    names the worker process that sent it.
    """

    operation_id: str
    step: str
    number: int
    item: Item
    model: str
    cost_usd: Decimal
    state: State
    sent_at: datetime
    deadline_at: datetime
    settled_at: datetime | None = None
    reason: str | None = None
    provider_operation: str | None = None
    artifact: Artifact | None = None
    sender: str | None = None


@dataclass(frozen=True)
class Limits:
    """What must hold before another request is sent: at most so many earlier requests of the step
    in doubt, and so many lost; and the most that all calls of the journal may cost together.
    """

    in_doubt_allowed: int
    budget_usd: Decimal | None = None
    lost_allowed: int = 0

    def allow(self, calls: Sequence[PaidCall]) -> bool:
        """Whether a step may be paid for again, after these requests."""
        return (
            in_doubt_count(calls) <= self.in_doubt_allowed
            and lost_count(calls) <= self.lost_allowed
        )


@dataclass(frozen=True)
class Granted:
    """The intent is recorded: the caller, and nobody else, may send this request now."""

    call: PaidCall


@dataclass(frozen=True)
class AlreadyPaid:
    """The step has its outcome already: nothing is to be sent."""

    call: PaidCall


@dataclass(frozen=True)
class Open:
    """Nothing may be sent yet: a request is under way, or somebody has to decide."""

    call: OpenCall


Answer = Granted | AlreadyPaid | Open

OPEN = frozenset({State.INTENT, State.IN_DOUBT})
"""States in which nobody knows whether a request was billed."""

UNSETTLED = OPEN | {State.LOST}
"""States of a request that may still get an outcome."""

WASTED = frozenset({State.IN_DOUBT, State.LATE, State.LOST})
"""States of a request that may have been paid for in vain."""

UNCERTAIN = WASTED | {State.INTENT}
"""The same, and those without an outcome yet."""


def outcome_of(calls: Sequence[PaidCall]) -> PaidCall | None:
    """The reply that stands: the regular one, else a late one, for it is paid for as well."""
    for state in (State.DONE, State.LATE):
        for call in calls:
            if call.state is state:
                return call
    return None


def in_doubt_count(calls: Sequence[PaidCall]) -> int:
    """How many requests may have been billed, and will get no reply."""
    return sum(call.state is State.IN_DOUBT for call in calls)


def lost_count(calls: Sequence[PaidCall]) -> int:
    """How many requests may have been billed, and what they made is out of reach."""
    return sum(call.state is State.LOST for call in calls)


def open_call(calls: Sequence[PaidCall], *, settle_at: datetime | None) -> OpenCall:
    """How a step stands whose newest open request can be settled then, or (None) by somebody."""
    last = next(c for c in reversed(calls) if c.state in UNSETTLED)
    return OpenCall(
        step=last.step,
        item=last.item,
        cost_usd=last.cost_usd,
        sent_at=last.sent_at,
        settle_at=settle_at,
        ambiguous=in_doubt_count(calls),
        lost=lost_count(calls),
        provider_operation=last.provider_operation,
        reason=last.reason or "it may still be in progress",
    )


def was_refused(calls: Sequence[PaidCall]) -> bool:
    """Whether it was tried, and nothing was ever billed."""
    return bool(calls) and all(call.state is State.REFUSED for call in calls)

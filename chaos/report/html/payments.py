"""What was paid for a workflow, by who was paid, and what is in doubt, by the workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal

from chaos.evidence.bills import Bill, PaidRequest
from chaos.evidence.case import Evidence
from chaos.evidence.spec import WorkflowSpec
from chaos.report.html.values import Clock, Mark
from chaos.report.table import exact

_CLOCKS = timedelta(seconds=0.25)
"""What the provider's time of a request may be earlier than the worker's."""


def paid(evidence: Evidence, clock: Clock, expected: WorkflowSpec) -> Iterator[Mark]:
    """What the provider billed for a workflow, and what may have been.

    A bill beyond the ideal is explained where an earlier request of its step is openly in doubt.
    """
    for key in dict.fromkeys(charge.key for charge in expected.charges):
        bills = [b for b in evidence.bills if b.key == key and b.amount_usd]
        calls = _requests_for(evidence, expected, key)
        due, known = Counter(expected.due), set[int]()
        for bill in bills:
            call = _call_of(bill, calls)
            known |= {call.number} if call else set()
            due[bill.thing] -= 1
            explained = any(c.in_doubt for c in calls if call and c.number < call.number)
            extra = due[bill.thing] < 0 and not explained
            yield _mark_of(bill, call, clock, extra=extra)
        for call in calls:
            if call.in_doubt and call.number not in known:
                at = clock(call.sent_at)
                words = f"{call.item} request {call.number}, {call.state}, not billed, {at:.1f} s"
                yield Mark(at, "doubt", _with_reason(words, call), Decimal(0))


def _requests_for(evidence: Evidence, expected: WorkflowSpec, key: str) -> Sequence[PaidRequest]:
    known = evidence.paid_requests
    return [r for r in known if (r.operation_id, r.key) == (expected.workflow_id, key)]


def _call_of(bill: Bill, calls: Sequence[PaidRequest]) -> PaidRequest | None:
    """The request that a bill is for, by the workers' own record: the last one sent before it."""
    before = [call for call in calls if call.sent_at <= bill.at + _CLOCKS]
    return max(before, key=lambda call: call.sent_at, default=None)


def _mark_of(bill: Bill, call: PaidRequest | None, clock: Clock, *, extra: bool) -> Mark:
    at = clock(bill.at)
    words = f"{bill.item} billed, {exact(bill.amount_usd)}, {at:.1f} s"
    if call and call.in_doubt:
        words = f"{words}; the workers call it {call.state}"
        return Mark(at, "doubt", _with_reason(words, call), bill.amount_usd)
    if extra:
        return Mark(at, "twice", f"{words}; more than an undisturbed run pays for", bill.amount_usd)
    return Mark(at, "paid", words, bill.amount_usd)


def _with_reason(words: str, call: PaidRequest) -> str:
    return f"{words}: {call.reason}" if call.reason else words

"""What was paid for a workflow, by the provider's ledger, and what is in doubt, by the workers'."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal

from chaos.evidence.case import Evidence
from chaos.evidence.spec import WorkflowSpec
from chaos.report.html.values import Clock, Mark
from chaos.report.table import exact
from tests.chaos.video.fake_api.ledger import Billed
from workflows.paid_calls import IN_DOUBT, PaidCall

_CLOCKS = timedelta(seconds=0.25)
"""What the provider's time of a request may be earlier than the worker's."""


def paid(evidence: Evidence, clock: Clock, expected: WorkflowSpec) -> Iterator[Mark]:
    """What the provider billed for a workflow, and what may have been.

    A bill beyond the ideal is explained where an earlier request of its step is openly in doubt.
    """
    for prompt in dict.fromkeys(expected.prompts):
        bills = [b for b in evidence.billed if b.prompt == prompt and b.amount_usd]
        calls = evidence.calls_for(expected, prompt)
        ideal, known = Counter(expected.ideal), set[int]()
        for bill in bills:
            call = _call_of(bill, calls)
            known |= {call.number} if call else set()
            ideal[bill.item, prompt] -= 1
            explained = any(c.state in IN_DOUBT for c in calls if call and c.number < call.number)
            extra = ideal[bill.item, prompt] < 0 and not explained
            yield _mark_of(bill, call, clock, extra=extra)
        for call in calls:
            if call.state in IN_DOUBT and call.number not in known:
                at = clock(call.sent_at)
                words = f"{call.item} request {call.number}, {call.state}, not billed, {at:.1f} s"
                yield Mark(at, "doubt", _with_reason(words, call), Decimal(0))


def _call_of(bill: Billed, calls: Sequence[PaidCall]) -> PaidCall | None:
    """The request that a bill is for, by the workers' own ledger: the last one sent before it."""
    before = [call for call in calls if call.sent_at <= bill.at + _CLOCKS]
    return max(before, key=lambda call: call.sent_at, default=None)


def _mark_of(bill: Billed, call: PaidCall | None, clock: Clock, *, extra: bool) -> Mark:
    at = clock(bill.at)
    words = f"{bill.item} billed, {exact(bill.amount_usd)}, {at:.1f} s"
    if call and call.state in IN_DOUBT:
        words = f"{words}; the workers call it {call.state}"
        return Mark(at, "doubt", _with_reason(words, call), bill.amount_usd)
    if extra:
        return Mark(at, "twice", f"{words}; more than an undisturbed run pays for", bill.amount_usd)
    return Mark(at, "paid", words, bill.amount_usd)


def _with_reason(words: str, call: PaidCall) -> str:
    return f"{words}: {call.reason}" if call.reason else words

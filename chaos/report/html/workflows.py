"""What became of the workflows of a case: attempts as bars, waits as lines, payments as marks.

What was paid is by the bills, what is in doubt by the workers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from chaos.evidence.bills import Bill, PaidRequest
from chaos.evidence.case import Evidence
from chaos.evidence.history import Status, Workflow
from chaos.evidence.spec import WorkflowSpec
from chaos.report.html.attempts import Attempt, Deaths, Failed, Outcome, Step, steps
from chaos.report.html.values import Clock, Mark, Row, Span
from chaos.report.table import exact

_CLOCKS = timedelta(seconds=0.25)
"""What the provider's time of a request may be earlier than the worker's."""

_LOST = 1000
"""How interesting it is that a workflow did not end as it should."""


def workflows(evidence: Evidence, clock: Clock, failed: Failed) -> Iterator[Row]:
    """A row for each, those with a spec first."""
    specs = {spec.workflow_id: spec for spec in evidence.specs}
    deaths = Deaths.of(evidence)
    for workflow_id in dict.fromkeys([*specs, *evidence.workflows]):
        spec, workflow = specs.get(workflow_id), evidence.workflows.get(workflow_id)
        marks = tuple(_paid(evidence, clock, spec)) if spec else ()
        if workflow is None:
            yield Row(workflow_id, (), marks, status=Status.LOST, interest=_LOST)
            continue
        found = list(steps(workflow, failed, deaths, clock.end))
        as_expected = spec is None or spec.status is workflow.status
        yield Row(
            workflow_id,
            tuple(tuple(_spans(step, clock)) for step in found),
            marks,
            life=_life(workflow, clock),
            status=workflow.status,
            interest=_interest(found, marks, as_expected=as_expected),
        )


def _interest(found: Sequence[Step], marks: Sequence[Mark], *, as_expected: bool) -> int:
    """What went wrong with a workflow counts most, then what was done twice or is in doubt."""
    repeated = sum(max(0, step.activity.attempt - 1) for step in found)
    doubts = sum(mark.kind != "paid" for mark in marks)
    return (0 if as_expected else _LOST) + 10 * doubts + repeated


def _life(workflow: Workflow, clock: Clock) -> Span:
    closed = clock(workflow.closed_at) if workflow.closed_at else clock.last
    start = clock(workflow.started_at)
    words = f"{workflow.workflow_id}: {workflow.status} after {closed - start:.1f} s"
    if workflow.failure_message:
        words += f": {workflow.failure_message}"
    return Span(start, closed, "life", detail=words)


def _spans(step: Step, clock: Clock) -> Iterator[Span]:
    """The attempts of an activity as bars, and between them the waits as lines."""
    kind, since = step.activity.kind, step.activity.scheduled_at
    for attempt in step.attempts:
        if attempt.began_at > since:
            yield _wait(
                clock, since, attempt.began_at, f"{kind} waits for attempt {attempt.number}"
            )
        yield _bar(attempt, kind, clock)
        if attempt.noticed_at > attempt.ended_at:
            words = f"{kind}: attempt {attempt.number} is lost, and the server does not know yet"
            yield _wait(clock, attempt.ended_at, attempt.noticed_at, words, look="unnoticed")
        since = attempt.noticed_at
    if not step.attempts or step.attempts[-1].outcome in {Outcome.FAILED, Outcome.LOST}:
        yield _wait(clock, since, step.closed_at, f"{kind} waits, and is not retried")


def _wait(clock: Clock, start: datetime, end: datetime, words: str, *, look: str = "wait") -> Span:
    seconds = (end - start).total_seconds()
    return Span(clock(start), clock(end), look, detail=f"{words}: {seconds:.1f} s")


def _bar(attempt: Attempt, kind: str, clock: Clock) -> Span:
    start, end = clock(attempt.began_at), clock(attempt.ended_at)
    about = "" if attempt.exact else "≈ "
    which = f"attempt {attempt.number}"
    if attempt.count > 1:
        which = f"attempts {attempt.number - attempt.count + 1} to {attempt.number}"
    words = (
        f"{kind}, {which}: {attempt.outcome.replace('_', ' ')}, {about}{start:.1f} s to {end:.1f} s"
    )
    if attempt.why:
        words += f": {attempt.why}"
    look = kind if attempt.outcome is Outcome.DONE else str(attempt.outcome)
    return Span(start, end, look, kind, words)


def _paid(evidence: Evidence, clock: Clock, spec: WorkflowSpec) -> Iterator[Mark]:
    """What the provider billed for a workflow, and what may have been.

    A bill beyond the ideal is explained where an earlier request of its step is in doubt.
    """
    for key in dict.fromkeys(charge.key for charge in spec.charges):
        bills = [b for b in evidence.bills if b.key == key and b.amount_usd]
        calls = _requests_for(evidence, spec, key)
        due, known = Counter(spec.due), set[int]()
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
                what = f"{call.item} request {call.number}"
                words = f"{what}, {call.shown_state}, not billed, {at:.1f} s"
                yield Mark(at, "doubt", _with_reason(words, call), Decimal(0))


def _requests_for(evidence: Evidence, spec: WorkflowSpec, key: str) -> Sequence[PaidRequest]:
    known = evidence.paid_requests
    return [r for r in known if (r.operation_id, r.key) == (spec.workflow_id, key)]


def _call_of(bill: Bill, calls: Sequence[PaidRequest]) -> PaidRequest | None:
    """The request that a bill is for, by the workers' own record: the last one sent before it."""
    before = [call for call in calls if call.sent_at <= bill.at + _CLOCKS]
    return max(before, key=lambda call: call.sent_at, default=None)


def _mark_of(bill: Bill, call: PaidRequest | None, clock: Clock, *, extra: bool) -> Mark:
    at = clock(bill.at)
    words = f"{bill.item} billed, {exact(bill.amount_usd)}, {at:.1f} s"
    if call and call.in_doubt:
        words = f"{words}; in the payment journal it is {call.shown_state}"
        return Mark(at, "doubt", _with_reason(words, call), bill.amount_usd)
    if extra:
        return Mark(at, "twice", f"{words}; an undisturbed run does not pay it", bill.amount_usd)
    return Mark(at, "paid", words, bill.amount_usd)


def _with_reason(words: str, call: PaidRequest) -> str:
    return f"{words}: {call.reason}" if call.reason else words

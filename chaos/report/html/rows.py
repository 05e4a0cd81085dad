"""What became of the workflows of a case: attempts as bars, waits as lines, payments as marks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from chaos.evidence.case import Evidence
from chaos.evidence.history import Status, Workflow
from chaos.report.html.attempts import Attempt, Deaths, Outcome, Seen, Step, steps
from chaos.report.html.payments import paid
from chaos.report.html.values import Clock, Mark, Row, Span

_LOST = 1000
"""How interesting it is that a workflow did not end as it should."""


def workflows(evidence: Evidence, clock: Clock, seen: Seen) -> Iterator[Row]:
    """A row for each, those that were asked for first."""
    asked = {expected.workflow_id: expected for expected in evidence.specs}
    deaths = Deaths.of(evidence)
    for workflow_id in dict.fromkeys([*asked, *evidence.workflows]):
        expected, workflow = asked.get(workflow_id), evidence.workflows.get(workflow_id)
        marks = tuple(paid(evidence, clock, expected)) if expected else ()
        if workflow is None:
            yield Row(workflow_id, (), marks, status=Status.LOST, interest=_LOST)
            continue
        found = list(steps(workflow, seen, deaths, clock.end))
        as_expected = expected is None or expected.status is workflow.status
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
            words = f"{kind}: attempt {attempt.number} is lost, and nobody knows it yet"
            yield _wait(clock, attempt.ended_at, attempt.noticed_at, words, look="unnoticed")
        since = attempt.noticed_at
    if not step.attempts or step.attempts[-1].outcome in {Outcome.FAILED, Outcome.LOST}:
        yield _wait(clock, since, step.closed_at, f"{kind} waits, and is not tried again")


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

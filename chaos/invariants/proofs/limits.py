"""What a limit did, by the wire's record: proofs that it was hit, and what the refused did then."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta

from chaos.evidence.case import Evidence
from chaos.evidence.history import Activity
from chaos.evidence.journal import Entry, Event
from chaos.invariants import invariant, proof
from chaos.invariants.recovery.faults import is_over_by
from chaos.wire.journal import QUEUED, REFUSED, Called, WireRecords, read_wire, service_of
from chaos.wire.repeats import service_calls

RATE_LIMIT, OVERLOAD = "rate_limit", "overload"
"""The kinds of the two faults in the journal."""

EXHAUSTED = "RESOURCE_EXHAUSTED"

_PAUSE_SECONDS = 1.0
"""The least that `Retry-After` says: whoever is refused waits so long, or as his policy says."""


def throttled(wire: WireRecords) -> Sequence[Called]:
    """The calls of a server that a rate limit refused, its own or one on the wire."""
    return [
        record
        for line, records in wire.items()
        if not service_of(line)
        for record in records
        if isinstance(record, Called) and record.status == EXHAUSTED and _is_of_a_limit(record)
    ]


def overloaded(wire: WireRecords, service: str = "") -> Sequence[Called]:
    """The requests, of one service or of all, that were above a limit: refused or kept waiting."""
    return [
        call
        for name, call in service_calls(wire)
        if name == (service or name) and call.decision in {REFUSED, QUEUED}
    ]


@proof("rate_limit_was_hit")
def rate_limit_was_hit(evidence: Evidence) -> Iterator[str]:
    """Proof: while each rate limit was on, the wire saw it refuse a call, and a workflow was open
    then.
    """
    limits = _faults(evidence, RATE_LIMIT)
    if not limits:
        yield "no rate limit was put on"
    calls = throttled(read_wire(evidence.folder))
    for limit in limits:
        met = _within(evidence, limit, calls)
        if not met:
            yield "the rate limit refused no call"
        elif not any(_was_open(evidence, call.at) for call in met):
            yield "no workflow was open when the rate limit refused calls"


@proof("services_were_overloaded")
def services_were_overloaded(evidence: Evidence) -> Iterator[str]:
    """Proof: each service that was limited had more requests than it takes, while an activity was
    open.
    """
    limits = _faults(evidence, OVERLOAD)
    if not limits:
        yield "no service was limited"
    wire = read_wire(evidence.folder)
    for limit in limits:
        service = service_of(limit.target or "")
        met = _within(evidence, limit, overloaded(wire, service))
        if not met:
            yield f"{service} had no more requests than it takes"
        elif not any(_had_open_activity(evidence, call.at) for call in met):
            yield f"no activity was open when {service} had more requests than it takes"


@invariant
def no_retry_storm(evidence: Evidence) -> Iterator[str]:
    """A service that refuses is not asked again at once: within a pause it refuses no more than two
    requests for each activity that is open, one of an attempt and one of the next. Where activities
    ask more than once at a time, undisturbed, it may be so many times more. A pause is a second,
    the least that `Retry-After` says, or the shortest first interval of the retry policies on
    record, if that is less.
    """
    limits = _faults(evidence, OVERLOAD)
    wire, pause = read_wire(evidence.folder), _pause(evidence)
    for limit in limits:
        service = service_of(limit.target or "")
        asked = sorted(
            (call for name, call in service_calls(wire) if name == service),
            key=lambda call: call.at,
        )
        before = [call.at for call in asked if call.at < limits[0].at]
        refused = [call for call in asked if call.decision == REFUSED]
        usual = max(
            (math.ceil(number / opened) for number, opened in _windows(evidence, before, pause)),
            default=1,
        )
        met = [call.at for call in _within(evidence, limit, refused)]
        for number, opened in _windows(evidence, met, pause):
            if number > 2 * usual * opened:
                yield (
                    f"{service} refused {number} requests within {pause.total_seconds():g} s, with "
                    f"{opened} activities open: whoever is refused asks again at once"
                )
                break


def _windows(
    evidence: Evidence, times: Sequence[datetime], length: timedelta
) -> Iterator[tuple[int, int]]:
    """From each of these times on: how many of them there are within that length, and how many
    activities were open meanwhile, at least one. Local ones are not on record.
    """
    activities = [each for workflow in evidence.all_workflows for each in workflow.activities]
    end = 0
    for begin, since in enumerate(times):
        while end < len(times) and times[end] <= since + length:
            end += 1
        opened = sum(
            each.scheduled_at <= since + length and _end_of(each, since) >= since
            for each in activities
        )
        yield end - begin, max(1, opened)


def _pause(evidence: Evidence) -> timedelta:
    firsts = [_first_pause(a) for workflow in evidence.all_workflows for a in workflow.activities]
    return timedelta(seconds=min([_PAUSE_SECONDS, *(first for first in firsts if first)]))


def attempts_of(activity: Activity) -> int:
    """Its known attempts: of an open one, those that the server tells of."""
    return max(activity.pending.attempt if activity.pending else activity.attempt, 1)


def pauses_seconds(activity: Activity) -> float:
    """How long its retry policy lets it wait, of all attempts that followed another."""
    policy = activity.retry_policy
    first = _first_pause(activity)
    longest = policy.maximum_interval.ToTimedelta().total_seconds() or 100 * first
    factor = policy.backoff_coefficient or 1.0
    return sum(min(longest, first * factor**number) for number in range(attempts_of(activity) - 1))


def _first_pause(activity: Activity) -> float:
    interval: float = activity.retry_policy.initial_interval.ToTimedelta().total_seconds()
    return interval


def _end_of(activity: Activity, otherwise: datetime) -> datetime:
    return activity.closed_at or activity.left_at or otherwise


def _is_of_a_limit(call: Called) -> bool:
    return call.decision == REFUSED or (not call.decision and call.forwarded_at is not None)


def _faults(evidence: Evidence, kind: str) -> Sequence[Entry]:
    return [e for e in evidence.journal if e.event is Event.FAULT and e.kind == kind]


def _within(evidence: Evidence, limit: Entry, calls: Collection[Called]) -> Sequence[Called]:
    """Those that came while it was on; it is put on after it is announced."""
    over = is_over_by(evidence, limit)
    return [call for call in calls if limit.at <= call.at <= over]


def _was_open(evidence: Evidence, moment: datetime) -> bool:
    return any(
        workflow.started_at <= moment
        and (workflow.closed_at is None or workflow.closed_at > moment)
        for workflow in evidence.all_workflows
    )


def _had_open_activity(evidence: Evidence, moment: datetime) -> bool:
    return any(
        activity.scheduled_at <= moment <= _end_of(activity, moment)
        for workflow in evidence.all_workflows
        for activity in workflow.activities
    )

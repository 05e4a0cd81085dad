"""Every attempt of an activity. The history keeps the last one only; the logs tell of the others.

Where no log tells, the retry policy does: an attempt was over its wait before the next one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure

from chaos.evidence.case import Evidence
from chaos.evidence.history import WORKER_LOST, Activity, Workflow
from chaos.evidence.journal import Event
from chaos.evidence.pending import told
from chaos.invariants.recovery.faults import is_worker
from chaos.invariants.recovery.retries import was_lost
from chaos.report.html.logs import Line


class Outcome(StrEnum):
    """How an attempt ended; `LOST` is with its worker, or in silence."""

    DONE = "done"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    LOST = "lost"
    CANCELED = "canceled"
    OPEN = "open"


@dataclass(frozen=True)
class Attempt:
    """One attempt. `noticed_at` is when the server knew that it was over.

    `number` is that of the last one where `count` attempts are known only together; `exact` says
    that both of its times were recorded.
    """

    number: int
    began_at: datetime
    ended_at: datetime
    noticed_at: datetime
    outcome: Outcome
    why: str = ""
    count: int = 1
    exact: bool = True


@dataclass(frozen=True)
class Step:
    """A scheduled activity with all of its attempts; `closed_at` is its end, or the evidence's."""

    activity: Activity
    closed_at: datetime
    attempts: tuple[Attempt, ...]


Failed = Mapping[tuple[str, str, int], datetime]
"""When attempts failed, by a run's id, an activity's id, and the number of the attempt."""

_FAILED = re.compile(
    r"Completing activity as failed \(\{'activity_id': '([^']*)'.*?'attempt': (\d+)"
    r".*?'workflow_run_id': '([^']*)'"
)
_CLOSING = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: ("completed", Outcome.DONE),
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: ("failed", Outcome.FAILED),
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: ("timed_out", Outcome.TIMED_OUT),
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: ("canceled", Outcome.CANCELED),
}


def failed_in(lines: Sequence[Line]) -> Failed:
    """What the workers' logs tell of failed attempts, by the SDK's own warnings."""
    ends = ((_FAILED.search(line.text), line.at) for line in lines)
    return {(end[3], end[1], int(end[2])): at for end, at in ends if end}


@dataclass(frozen=True)
class Deaths:
    """When workers died, and which; those that the harness ended itself are none."""

    times: Sequence[tuple[datetime, int | None]]

    @classmethod
    def of(cls, evidence: Evidence) -> Deaths:
        """From the journal."""
        ending = evidence.first_entry(Event.ENDING)
        return cls(
            [
                (entry.at, entry.pid)
                for entry in evidence.journal
                if entry.event is Event.EXITED
                and is_worker(entry.target or "")
                and (ending is None or entry.at < ending.at)
            ]
        )

    def between(self, first: datetime, last: datetime, failure: str) -> datetime | None:
        """The last death in that time, or that of the worker which a failure names."""
        named = re.match(r"its worker (\d+)", failure)
        within = [(at, pid) for at, pid in self.times if first <= at <= last]
        fitting = [at for at, pid in within if not named or pid == int(named[1])]
        return max(fitting, default=None)


def steps(workflow: Workflow, failed: Failed, deaths: Deaths, last: datetime) -> Iterator[Step]:
    """All activities of a workflow, each with its attempts; `last` is when the evidence ends."""
    activities = iter(workflow.activities)
    for run in workflow.runs:
        ends = {}
        for event in run.events:
            if event.event_type in _CLOSING:
                name, outcome = _CLOSING[event.event_type]
                closed = getattr(event, f"activity_task_{name}_event_attributes")
                is_failed = outcome in {Outcome.FAILED, Outcome.TIMED_OUT}
                why = told(closed.failure) if is_failed else ""
                ends[closed.scheduled_event_id] = outcome, why
        for event in run.events:
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                activity = next(activities)
                over = activity.closed_at or workflow.closed_at or last
                own = {
                    n: at
                    for (r, a, n), at in failed.items()
                    if (r, a) == (run.run_id, activity.activity_id)
                }
                end = ends.get(event.event_id, (Outcome.OPEN, ""))
                yield Step(activity, over, tuple(_attempts(activity, own, deaths, over, end)))


def _attempts(
    activity: Activity,
    failed: Mapping[int, datetime],
    deaths: Deaths,
    over: datetime,
    end: tuple[Outcome, str],
) -> Iterator[Attempt]:
    """Those before the last one are known by the logs, or together by the retry policy alone."""
    last = activity.attempt if activity.started_at else max(failed, default=0) + 1
    begins = {1: activity.scheduled_at}
    for number, at in failed.items():
        if number + 1 < last:
            begins[number + 1] = at + timedelta(seconds=_backoff_seconds(activity, number + 1))
    if activity.started_at:
        begins[last] = activity.started_at
    numbers = sorted(begins)
    for number, following in zip(numbers, [*numbers[1:], last], strict=True):
        if number == last and activity.started_at:
            yield Attempt(last, begins[last], over, over, *end)
        elif last > 1:
            times = begins[number], begins.get(following, over), failed.get(following - 1)
            yield _replaced(activity, number, following, times, deaths)


def _replaced(
    activity: Activity,
    number: int,
    following: int,
    times: tuple[datetime, datetime, datetime | None],
    deaths: Deaths,
) -> Attempt:
    """An attempt, or some that are known only together, which another one `following` replaced:
    it failed, as a log says, or it ended with its worker, or nobody knows.
    """
    began_at, next_at, failed_at = times
    failure = activity.last_failure if following == activity.attempt else None
    wait = timedelta(seconds=_backoff_seconds(activity, following, failure))
    noticed = failed_at or max(began_at, next_at - wait)
    silent = failure is not None and was_lost(failure)
    died = None
    if not failed_at and (silent or failure is None):
        died = deaths.between(began_at, noticed, failure.message if failure else "")
    if died and failure and failure.application_failure_info.type == WORKER_LOST:
        noticed = died  # a supervisor sees its own worker die
    timed_out = failure is not None and failure.HasField("timeout_failure_info")
    outcome = Outcome.TIMED_OUT if timed_out else Outcome.FAILED
    return Attempt(
        number=following - 1,
        began_at=began_at,
        ended_at=died or noticed,
        noticed_at=noticed,
        outcome=Outcome.LOST if died or silent else outcome,
        why=told(failure) if failure else "",
        count=following - number,
        exact=False,
    )


def _backoff_seconds(activity: Activity, number: int, failure: Failure | None = None) -> float:
    """What the server waits before an attempt."""
    if failure and failure.application_failure_info.type == WORKER_LOST:
        return 0.0
    if failure and failure.application_failure_info.HasField("next_retry_delay"):
        delay = failure.application_failure_info.next_retry_delay
        return float(delay.ToTimedelta().total_seconds())
    policy = activity.retry_policy
    first = float(policy.initial_interval.ToTimedelta().total_seconds())
    longest = float(policy.maximum_interval.ToTimedelta().total_seconds())
    wait = first * (policy.backoff_coefficient or 1.0) ** max(0, number - 2)
    return min(wait, longest) if longest else wait

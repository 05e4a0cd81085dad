"""Every attempt of an activity. The history keeps the last one only; the logs tell of the others.

Where no log tells, the retry policy does: an attempt was over its wait before the next one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from temporalio.api.enums.v1 import EventType, TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.client import WorkflowHistory

from chaos.evidence.case import Evidence
from chaos.evidence.history import WORKER_LOST, Activity, Workflow
from chaos.evidence.journal import Event
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


Key = tuple[str, str, int]
"""A run's id, an activity's id, and the number of an attempt."""

_BEGAN = re.compile(r"[\w.]+: (\{.*\})")
_FAILED = re.compile(
    r"Completing activity as failed \(\{'activity_id': '([^']*)'.*?'attempt': (\d+)"
    r".*?'workflow_run_id': '([^']*)'"
)
_CLOSING = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: (
        "activity_task_completed_event_attributes",
        Outcome.DONE,
    ),
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: (
        "activity_task_failed_event_attributes",
        Outcome.FAILED,
    ),
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: (
        "activity_task_timed_out_event_attributes",
        Outcome.TIMED_OUT,
    ),
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: (
        "activity_task_canceled_event_attributes",
        Outcome.CANCELED,
    ),
}


@dataclass(frozen=True)
class Seen:
    """When attempts began and failed, as far as the workers' logs tell."""

    began: Mapping[Key, datetime]
    failed: Mapping[Key, datetime]


def seen_in(lines: Sequence[Line]) -> Seen:
    """Read it out of the SDK's own warnings, and of lines in which a worker tells as JSON of an
    attempt that it begins: its `run_id`, `activity_id`, number (`attempt`) and `time`.
    """
    began: dict[Key, datetime] = {}
    failed: dict[Key, datetime] = {}
    for line in lines:
        if "activity" not in line.text:
            continue
        if alert := _BEGAN.search(line.text):
            try:
                told = json.loads(alert[1])
                key = (told["run_id"], told["activity_id"], int(told["attempt"]))
                began[key] = datetime.fromisoformat(told["time"])
            except (ValueError, KeyError, TypeError):
                continue
        elif end := _FAILED.search(line.text):
            failed[end[3], end[1], int(end[2])] = line.at
    return Seen(began, failed)


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

    def between(self, first: datetime, last: datetime, why: str) -> datetime | None:
        """The last death in that time, or that of the worker which a failure names."""
        named = re.match(r"its worker (\d+)", why)
        within = [(at, pid) for at, pid in self.times if first <= at <= last]
        fitting = [at for at, pid in within if not named or pid == int(named[1])]
        return max(fitting, default=None)


@dataclass(frozen=True)
class _Recorded:
    """An activity with what its history says beside."""

    activity: Activity
    key: tuple[str, str]
    outcome: Outcome
    why: str


def steps(workflow: Workflow, seen: Seen, deaths: Deaths, last: datetime) -> Iterator[Step]:
    """All activities of a workflow, each with its attempts; `last` is when the evidence ends."""
    for recorded in _recorded(workflow):
        activity = recorded.activity
        over = activity.closed_at or workflow.closed_at or last
        yield Step(activity, over, tuple(_attempts(recorded, seen, deaths, over)))


def _recorded(workflow: Workflow) -> Iterator[_Recorded]:
    activities = iter(workflow.activities)
    for run in workflow.runs:
        ends = dict(_endings(run))
        for event in run.events:
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                activity_id = event.activity_task_scheduled_event_attributes.activity_id
                outcome, why = ends.get(event.event_id, (Outcome.OPEN, ""))
                yield _Recorded(next(activities), (run.run_id, activity_id), outcome, why)


def _endings(run: WorkflowHistory) -> Iterator[tuple[int, tuple[Outcome, str]]]:
    for event in run.events:
        if event.event_type in _CLOSING:
            name, outcome = _CLOSING[event.event_type]
            closed = getattr(event, name)
            failed = outcome in {Outcome.FAILED, Outcome.TIMED_OUT}
            yield closed.scheduled_event_id, (outcome, _words(closed.failure) if failed else "")


def _attempts(recorded: _Recorded, seen: Seen, deaths: Deaths, over: datetime) -> Iterator[Attempt]:
    activity = recorded.activity
    last = activity.attempt if activity.started_at else _highest(seen, recorded.key) + 1
    begins = _begins(recorded, seen, last)
    numbers = sorted(begins)
    for number, following in zip(numbers, [*numbers[1:], last], strict=True):
        if number == last and activity.started_at:
            yield Attempt(last, begins[last], over, over, recorded.outcome, recorded.why)
        elif last > 1:
            failed = seen.failed.get((*recorded.key, following - 1))
            lost = _Lost(activity, number, following, begins[number], begins.get(following, over))
            yield lost.attempt(failed, deaths)


def _begins(recorded: _Recorded, seen: Seen, last: int) -> Mapping[int, datetime]:
    """When each attempt began, as far as that is known: the first one when it was scheduled."""
    activity = recorded.activity
    keys = {number: (*recorded.key, number) for number in range(2, last)}
    begins = {number: seen.began[key] for number, key in keys.items() if key in seen.began}
    begins[1] = activity.scheduled_at
    if activity.started_at:
        begins[last] = activity.started_at
    return begins


@dataclass(frozen=True)
class _Lost:
    """An attempt, or some that are known only together, which another one `following` replaced."""

    activity: Activity
    number: int
    following: int
    began_at: datetime
    next_at: datetime

    def attempt(self, failed_at: datetime | None, deaths: Deaths) -> Attempt:
        """As it was: it failed, as a log says, or it ended with its worker, or nobody knows."""
        failure = self.activity.last_failure if self.following == self.activity.attempt else None
        wait = timedelta(seconds=_backoff_seconds(self.activity, self.following, failure))
        noticed = failed_at or max(self.began_at, self.next_at - wait)
        silent = failure is not None and was_lost(failure)
        died = None
        if not failed_at and (silent or failure is None):
            died = deaths.between(self.began_at, noticed, failure.message if failure else "")
        if died and failure and failure.application_failure_info.type == WORKER_LOST:
            noticed = died  # a fleet sees its own worker die
        return Attempt(
            number=self.following - 1,
            began_at=self.began_at,
            ended_at=died or noticed,
            noticed_at=noticed,
            outcome=Outcome.LOST if died or silent else _outcome(failure),
            why=_words(failure) if failure else "",
            count=self.following - self.number,
            exact=failed_at is not None and self.number > 1,
        )


def _highest(seen: Seen, key: tuple[str, str]) -> int:
    known = [*seen.began, *seen.failed]
    return max((number for run, activity, number in known if (run, activity) == key), default=0)


def _backoff_seconds(activity: Activity, number: int, failure: Failure | None) -> float:
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


def _outcome(failure: Failure | None) -> Outcome:
    timed_out = failure is not None and failure.HasField("timeout_failure_info")
    return Outcome.TIMED_OUT if timed_out else Outcome.FAILED


def _words(failure: Failure) -> str:
    """What a failure says, and at its root."""
    words = [failure.message]
    while failure.HasField("cause"):
        failure = failure.cause
        words.append(failure.message)
    told = [word for word in dict.fromkeys(words) if word]
    heartbeat = TimeoutType.TIMEOUT_TYPE_HEARTBEAT
    if not told and failure.timeout_failure_info.timeout_type == heartbeat:
        return "no heartbeat came in time"
    return ": ".join(told)

"""Anti-patterns: what a workflow does at a price that only its evidence shows. They are notices, no
verdicts: whoever knows the system decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict
from temporalio.api.enums.v1 import EventType, TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.client import WorkflowHistory

from chaos.evidence.case import Evidence
from chaos.evidence.history import Activity, Workflow
from chaos.evidence.journal import Event
from chaos.evidence.tasks import answered

_MANY_ATTEMPTS = 5
"""With the SDK's default policy they take 15 s: what fails that long is no passing trouble."""
_LONG_SECONDS = 30.0
"""Work that a lost worker may hide for so long; the default start of a heartbeat's throttle."""
_LATE_SECONDS = 10.0
"""A loss that is noticed no sooner would have been noticed by a heartbeat."""
_TASK_SECONDS = 1.0
"""After that Go's and Java's SDKs take a workflow's code for deadlocked; Python's after 2 s."""
_ROUNDS = 3
"""Of a timer and a failed activity: fewer may be a decision, such as one last try."""


class Pattern(StrEnum):
    """The anti-patterns that are looked for."""

    ENDLESS_RETRIES = "endless retries"
    NO_HEARTBEAT = "no heartbeat on long work"
    WORK_IN_A_TASK = "work in a workflow task"
    NO_BOUND = "no start-to-close bound"
    WAITING_BY_TIMERS = "waiting by timers"


class Notice(BaseModel):
    """One anti-pattern of one activity type, or of a workflow type, where `activity` is empty.
    `workflow_id` is where it was seen first, `text` the figures of that, and `count` how often it
    was seen.
    """

    model_config = ConfigDict(frozen=True)

    pattern: Pattern
    workflow_type: str
    workflow_id: str
    activity: str = ""
    text: str
    count: int = 1


@dataclass(frozen=True)
class _Sign:
    pattern: Pattern
    activity: str
    text: str


def notices(evidence: Evidence) -> Sequence[Notice]:
    """All that the histories of a case show. Where the machine was busy, or that was not measured,
    nothing is said of times.
    """
    is_calm = evidence.strain is not None and not evidence.strain.is_busy
    found: dict[tuple[Pattern, str, str], Notice] = {}
    for workflow in evidence.all_workflows:
        signs = [*_of_activities(workflow, is_calm=is_calm), *_of_timers(workflow)]
        if is_calm:
            signs += _of_tasks(workflow, _first_fault(evidence))
        for sign in signs:
            key = sign.pattern, workflow.kind, sign.activity
            first = found.get(key) or Notice(
                pattern=sign.pattern,
                workflow_type=workflow.kind,
                workflow_id=workflow.workflow_id,
                activity=sign.activity,
                text=sign.text,
                count=0,
            )
            found[key] = first.model_copy(update={"count": first.count + 1})
    return sorted(found.values(), key=lambda n: (n.pattern, n.workflow_type, n.activity))


def _first_fault(evidence: Evidence) -> datetime | None:
    faulty = {Event.FAULT, Event.SIGNALED, Event.EXITED, Event.ENDING}
    return next((entry.at for entry in evidence.journal if entry.event in faulty), None)


def _of_activities(workflow: Workflow, *, is_calm: bool) -> Iterator[_Sign]:
    for activity in workflow.activities:
        if text := _endless(activity):
            yield _Sign(Pattern.ENDLESS_RETRIES, activity.kind, text)
        if text := _silent(activity, is_calm=is_calm):
            yield _Sign(Pattern.NO_HEARTBEAT, activity.kind, text)
        if text := _unbounded(activity, _run_seconds(workflow)):
            yield _Sign(Pattern.NO_BOUND, activity.kind, text)


def _endless(activity: Activity) -> str:
    policy = activity.retry_policy
    ends = (
        policy.maximum_attempts
        or policy.non_retryable_error_types
        or activity.schedule_to_close_seconds
    )
    pending = activity.pending
    attempts = max(activity.attempt, pending.attempt if pending else 0)
    refused = (pending is not None and pending.last_failure and not pending.has_timed_out) or any(
        failure.HasField("application_failure_info") for failure in _failures(activity)
    )
    if ends or not refused or attempts < _MANY_ATTEMPTS:
        return ""
    return (
        f"it was at attempt {attempts}, and nothing ends that: its retry policy has no maximum of "
        "attempts and no error that is not retried, and it has no schedule-to-close timeout"
    )


def _silent(activity: Activity, *, is_calm: bool) -> str:
    limit = activity.start_to_close_seconds
    if activity.has_heartbeats:
        return ""
    lost = any(_timed_out(failure) for failure in _failures(activity))
    if lost and limit >= _LATE_SECONDS:
        return (
            "an attempt without heartbeats came to nothing, which was noticed only by its "
            f"start-to-close timeout of {limit:g} s"
        )
    if is_calm and activity.started_at and activity.closed_at:
        took = (activity.closed_at - activity.started_at).total_seconds()
        if took >= _LONG_SECONDS:
            return (
                f"it ran for {took:.0f} s without heartbeats: a worker's loss would be noticed "
                f"only by its start-to-close timeout of {limit:g} s"
            )
    return ""


def _run_seconds(workflow: Workflow) -> float:
    """How long its newest run may take; 0 without a limit."""
    started = workflow.runs[-1].events[0].workflow_execution_started_event_attributes
    return started.workflow_run_timeout.ToTimedelta().total_seconds()


def _unbounded(activity: Activity, run_seconds: float) -> str:
    """The server puts the schedule-to-close timeout in the place of the other if that is absent,
    and the workflow's own in the place of both where it is shorter or the only one.
    """
    limit, whole = activity.start_to_close_seconds, activity.schedule_to_close_seconds
    if activity.has_heartbeats or activity.retry_policy.maximum_attempts == 1:
        return ""
    if whole in {0, run_seconds}:
        return ""
    if limit and limit != whole:
        return ""
    return (
        f"one attempt may take all of its schedule-to-close timeout of {whole:g} s, so one that is "
        "lost with its worker is never retried"
    )


def _failures(activity: Activity) -> Iterator[Failure]:
    """Of its last attempt, and of that before it: of others no event is left."""
    yield from (each for each in (activity.failure, activity.last_failure) if each)


def _timed_out(failure: Failure) -> bool:
    """Whether an attempt took too long: by a failure, or by the one that caused it."""
    while not failure.HasField("timeout_failure_info"):
        if not failure.HasField("cause"):
            return False
        failure = failure.cause
    kind = failure.timeout_failure_info.timeout_type
    return bool(kind == TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE)


def _of_tasks(workflow: Workflow, first_fault: datetime | None) -> Iterator[_Sign]:
    """Of workflow tasks before any fault: a fault makes them slow, too. One with local activities
    waits for these, as it should.
    """
    for run in workflow.runs:
        if any(event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED for event in run.events):
            continue
        for task in answered(run):
            if first_fault and task.completed_at >= first_fault:
                break
            if task.seconds >= _TASK_SECONDS:
                yield _Sign(
                    Pattern.WORK_IN_A_TASK,
                    "",
                    f"the workflow task of event {task.done.event_id} took {task.seconds:.1f} s, "
                    "where code that only decides takes milliseconds",
                )


def _of_timers(workflow: Workflow) -> Iterator[_Sign]:
    for run in workflow.runs:
        for kind, rounds in _rounds(run):
            if rounds >= _ROUNDS:
                yield _Sign(
                    Pattern.WAITING_BY_TIMERS,
                    kind,
                    f"it failed {rounds} times, and was scheduled again after a timer each time: "
                    "a retry policy waits as long, and adds nothing to the history",
                )


def _rounds(run: WorkflowHistory) -> Iterator[tuple[str, int]]:
    """How often each activity type was scheduled again when it had failed and a timer had fired."""
    scheduled: dict[int, str] = {}
    failed: dict[str, bool] = {}
    rounds: dict[str, int] = {}
    for event in run.events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            kind = event.activity_task_scheduled_event_attributes.activity_type.name
            scheduled[event.event_id] = kind
            if failed.pop(kind, False):
                rounds[kind] = rounds.get(kind, 0) + 1
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
            kind = scheduled[event.activity_task_failed_event_attributes.scheduled_event_id]
            failed[kind] = False
        elif event.event_type == EventType.EVENT_TYPE_TIMER_FIRED:
            failed = dict.fromkeys(failed, True)
    yield from rounds.items()

"""What Temporal knows of an operation, as this service shows it. Nothing here waits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import WorkflowExecution, WorkflowExecutionDescription
from temporalio.client import WorkflowExecutionStatus as Execution

from workflows.models import OpenCall, Progress
from workflows.service.schemas import (
    AttemptView,
    Kind,
    OperationView,
    ProgressView,
    Status,
)

KINDS = {"SingleVideo": Kind.SINGLE, "SeriesVideo": Kind.SERIES}
"""Our workflow types. Others in the namespace are nobody's business here."""

VIDEOS = "videos"
"""In the memo: how many videos an operation makes."""

_STATUS = {
    Execution.RUNNING: Status.RUNNING,
    Execution.CONTINUED_AS_NEW: Status.RUNNING,  # its next run is about to be the newest
    Execution.COMPLETED: Status.COMPLETED,
    Execution.FAILED: Status.FAILED,
    Execution.CANCELED: Status.CANCELED,
    Execution.TERMINATED: Status.TERMINATED,
    Execution.TIMED_OUT: Status.TIMED_OUT,
}

_LONGEST_FAILURE = 500
"""Characters of an attempt's failure that are shown."""


def status_of(execution: WorkflowExecution) -> Status:
    """How it stands; one of an unknown state counts as running."""
    if execution.status is None:
        return Status.RUNNING
    return _STATUS.get(execution.status, Status.RUNNING)


@dataclass(frozen=True)
class Told:
    """What was found out about an operation beyond its description.

    `missing` says why there is no `progress`; `end` tells of a bad end.
    """

    progress: Progress | None = None
    missing: str | None = None
    end: str | None = None


async def operation(execution: WorkflowExecution, told: Told) -> OperationView:
    """All about one operation; its attempts where `execution` is a whole description."""
    videos = (await execution.memo()).get(VIDEOS)
    attempts: tuple[AttemptView, ...] = ()
    if isinstance(execution, WorkflowExecutionDescription):
        attempts = tuple(_attempts(execution.raw_description.pending_activities))
    return OperationView(
        operation_id=execution.id,
        type=KINDS[execution.workflow_type],
        status=status_of(execution),
        started_at=execution.start_time,
        closed_at=execution.close_time,
        videos=videos if isinstance(videos, int) else None,
        progress=ProgressView.of(told.progress) if told.progress else None,
        progress_missing=told.missing,
        attempts=attempts,
        alerts=tuple(_alerts(attempts, told)),
    )


def _attempts(pending: Sequence[PendingActivityInfo]) -> Iterator[AttemptView]:
    for activity in pending:
        waits = activity.HasField("next_attempt_schedule_time")
        failed = activity.HasField("last_failure")
        yield AttemptView(
            activity=activity.activity_type.name,
            attempt=activity.attempt,
            max_attempts=activity.maximum_attempts or None,
            last_failure=activity.last_failure.message[:_LONGEST_FAILURE] if failed else None,
            next_attempt_at=(
                activity.next_attempt_schedule_time.ToDatetime(tzinfo=UTC) if waits else None
            ),
            trouble=_trouble(activity),
        )


def _trouble(activity: PendingActivityInfo) -> str | None:
    """What the last heartbeat tells: a text, or nothing."""
    for payload in activity.heartbeat_details.payloads:
        try:
            told = json.loads(payload.data)
        except ValueError:
            return None
        return told[:_LONGEST_FAILURE] if isinstance(told, str) else None
    return None


def _alerts(attempts: Sequence[AttemptView], told: Told) -> Iterator[str]:
    """What somebody should know, a sentence each."""
    for attempt in attempts:
        if attempt.attempt > 1:
            yield _of_attempt(attempt)
        if attempt.trouble:
            yield f"{attempt.activity} goes on, but its last look failed: {attempt.trouble}"
    if told.progress and told.progress.undecided:
        yield _of_call(told.progress.undecided)
    if told.progress and told.progress.waiting:
        waiting = told.progress.waiting
        day = f"{waiting.until.astimezone(UTC):%Y-%m-%d}"
        yield f"It tries again by itself on {day} at {_clock(waiting.until)}: {waiting.reason}"
    if told.progress and told.progress.hint:
        yield f"The last decision was not taken: {told.progress.hint}"
    if told.end:
        yield told.end


def _of_attempt(attempt: AttemptView) -> str:
    of = f" of {attempt.max_attempts}" if attempt.max_attempts else ""
    parts = [f"{attempt.activity} is at attempt {attempt.attempt}{of}"]
    if attempt.last_failure:
        parts.append(f"the last one failed: {attempt.last_failure.rstrip('.')}")
    if attempt.next_attempt_at:
        parts.append(f"the next begins at {_clock(attempt.next_attempt_at)}")
    return "; ".join(parts) + "."


def _of_call(call: OpenCall) -> str:
    if call.provider_operation:
        return (
            f"The {call.item} of {call.step} (${call.cost_usd}) may be paid for and can be fetched "
            f"no more: {call.reason.rstrip('.')}. Decide what becomes of it: resend (buy it "
            f"again), made (look again, it is {call.provider_operation}) or give_up."
        )
    what = (
        f"The {call.item} call of {call.step} (${call.cost_usd}) may have been billed without a "
        f"reply: {call.reason.rstrip('.')}."
    )
    if call.settle_at:
        return f"{what} Its reply may still come until {_clock(call.settle_at)}."
    return f"{what} Decide what becomes of it: made, resend or give_up."


def _clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%H:%M:%S} UTC"

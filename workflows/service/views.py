"""What Temporal knows of an operation, as this service shows it. Nothing here waits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self

from pydantic_core import from_json
from temporalio.api.common.v1 import Payload
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import WorkflowExecutionStatus as State

from workflows.models import OpenCall, Progress
from workflows.service.schemas import (
    ID_PATTERN,
    AttemptView,
    Kind,
    OperationView,
    ProgressView,
    Status,
)
from workflows.service.temporal import Execution

KINDS = {"SingleVideo": Kind.SINGLE, "SeriesVideo": Kind.SERIES}
"""Our workflow types. Others in the namespace are nobody's business here."""

VIDEOS = "videos"
"""In the memo: how many videos an operation makes."""

_PAUSED = 8
"""The state of a run that Temporal's own `workflow pause` holds; the SDK has no name for it."""

_STATUS: Mapping[int, Status] = {
    State.COMPLETED: Status.COMPLETED,
    State.FAILED: Status.FAILED,
    State.CANCELED: Status.CANCELED,
    State.TERMINATED: Status.TERMINATED,
    State.TIMED_OUT: Status.TIMED_OUT,
}
"""All others run: one that continued as new does so in its next run."""

_ID = re.compile(ID_PATTERN.removesuffix("$") + r"\Z")

_LONGEST_FAILURE = 500
"""Characters of an attempt's failure that are shown."""


def status_of(execution: Execution) -> Status:
    """How it stands; one of an unknown state counts as running."""
    return _STATUS.get(execution.info.status, Status.RUNNING)


@dataclass(frozen=True)
class Told:
    """What was found out about an operation beyond its description.

    `missing` says why there is no `progress`; `end` tells of a bad end; `wrong_input` says why its
    workflow cannot take what another program started it with.
    """

    progress: Progress | None = None
    missing: str | None = None
    end: str | None = None
    wrong_input: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether a worker has still to be asked."""
        return self.progress is None and self.missing is None

    def of(self, progress: Progress | str | None) -> Self:
        """With the progress, or a sentence why there is none; None leaves that open."""
        if progress is None or isinstance(progress, str):
            return replace(self, missing=progress)
        return replace(self, progress=progress)


def operation(execution: Execution, told: Told) -> OperationView:
    """All about one operation; its attempts where `execution` is a whole description."""
    attempts = tuple(_attempts(execution.pending))
    return OperationView(
        operation_id=execution.id,
        type=KINDS[execution.workflow_type],
        status=status_of(execution),
        started_at=execution.started_at,
        closed_at=execution.closed_at,
        videos=_videos(execution),
        progress=ProgressView.of(told.progress) if told.progress else None,
        progress_missing=told.missing,
        attempts=attempts,
        alerts=(*_strange(execution, told), *_alerts(attempts, told)),
    )


def _strange(execution: Execution, told: Told) -> Iterator[str]:
    """What no operation has that this service started and steers."""
    if told.wrong_input:
        yield f"Another program started it with an input that no worker accepts: {told.wrong_input}"
    if not _ID.match(execution.id):
        yield "No route accepts its id: control it with Temporal's own tools."
    if execution.info.status == _PAUSED:
        yield "It was paused in Temporal: resume it by temporal workflow unpause."


def _videos(execution: Execution) -> int | None:
    """How many it makes, as its memo says; None where another program wrote that, or nobody."""
    count = _json(execution.info.memo.fields.get(VIDEOS))
    return count if type(count) is int and count > 0 else None


def _json(payload: Payload | None) -> object:
    """What a payload holds as JSON; None where it holds anything else."""
    try:
        return from_json(payload.data) if payload else None
    except ValueError:
        return None


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
        told = _json(payload)
        return told[:_LONGEST_FAILURE] if isinstance(told, str) else None
    return None


def _alerts(attempts: Sequence[AttemptView], told: Told) -> Iterator[str]:
    """What somebody should know, a sentence each."""
    for attempt in attempts:
        if attempt.attempt > 1:
            yield _of_attempt(attempt)
        if attempt.trouble:
            yield f"{attempt.activity} continues, but its last poll failed: {attempt.trouble}"
    if told.progress and told.progress.undecided:
        yield _of_call(told.progress.undecided)
    if told.progress and told.progress.waiting:
        waiting = told.progress.waiting
        day = f"{waiting.until.astimezone(UTC):%Y-%m-%d}"
        yield f"It tries again by itself on {day} at {_clock(waiting.until)}: {waiting.reason}"
    if told.progress and told.progress.hint:
        yield f"The last decision was not accepted: {told.progress.hint}"
    if told.end:
        yield told.end


def _of_attempt(attempt: AttemptView) -> str:
    of = f" of {attempt.max_attempts}" if attempt.max_attempts else ""
    parts = [f"{attempt.activity} is at attempt {attempt.attempt}{of}"]
    if attempt.last_failure:
        parts.append(f"the last one failed: {attempt.last_failure.rstrip('.')}")
    if attempt.next_attempt_at:
        parts.append(f"the next starts at {_clock(attempt.next_attempt_at)}")
    return "; ".join(parts) + "."


def _of_call(call: OpenCall) -> str:
    if call.provider_operation:
        return (
            f"The {call.item} of {call.step} (${call.cost_usd}) may be paid for and can no longer "
            f"be fetched: {call.reason.rstrip('.')}. Decide: resend (buy it again), made (look "
            f"again for {call.provider_operation}) or give_up."
        )
    what = (
        f"The {call.item} call of {call.step} (${call.cost_usd}) may have been billed without a "
        f"reply: {call.reason.rstrip('.')}."
    )
    if call.settle_at:
        return f"{what} Its reply may still come until {_clock(call.settle_at)}."
    return f"{what} Decide: made, resend or give_up."


def _clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%H:%M:%S} UTC"

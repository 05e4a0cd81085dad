"""How often a step was scheduled in a run, and how each of these ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from temporalio.api.common.v1 import RetryPolicy
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import ActivityTaskScheduledEventAttributes
from temporalio.client import WorkflowHistory

from chaos.invariants.recovery import was_lost

_ENDED_BADLY = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: "activity_task_failed_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: "activity_task_timed_out_event_attributes",
}


@dataclass(frozen=True)
class Try:
    """A step that was scheduled: its kind and input, and its last attempt. `before` is how the
    attempt before that failed, `end` how the last one did.
    """

    kind: str
    order: bytes
    policy: RetryPolicy
    attempt: int
    before: Failure | None
    end: Failure | None

    @property
    def was_lost(self) -> bool:
        """Whether its last attempt ended with its worker."""
        return self.end is not None and was_lost(self.end)

    def is_permanent(self, failure: Failure | None) -> bool:
        """Whether its policy allows no attempt after such a failure."""
        if failure is None or not failure.HasField("application_failure_info"):
            return False
        info = failure.application_failure_info
        return info.non_retryable or info.type in self.policy.non_retryable_error_types


def tries(run: WorkflowHistory) -> Iterator[Try]:
    """All of a run, in the order of their scheduling."""
    scheduled: dict[int, ActivityTaskScheduledEventAttributes] = {}
    attempts: dict[int, int] = {}
    before: dict[int, Failure] = {}
    ends: dict[int, Failure] = {}
    for event in run.events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            scheduled[event.event_id] = event.activity_task_scheduled_event_attributes
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            started = event.activity_task_started_event_attributes
            attempts[started.scheduled_event_id] = started.attempt
            if started.HasField("last_failure"):
                before[started.scheduled_event_id] = started.last_failure
        elif event.event_type in _ENDED_BADLY:
            ended = getattr(event, _ENDED_BADLY[event.event_type])
            ends[ended.scheduled_event_id] = ended.failure
    for number, scheduled_as in scheduled.items():
        yield Try(
            kind=scheduled_as.activity_type.name,
            order=scheduled_as.input.SerializeToString(deterministic=True),
            policy=scheduled_as.retry_policy,
            attempt=attempts.get(number, 0),
            before=before.get(number),
            end=ends.get(number),
        )

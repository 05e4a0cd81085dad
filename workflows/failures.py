"""What the failure of an activity tells its workflow: why, whether it is over, and what to do."""

from __future__ import annotations

from datetime import timedelta

from temporalio.exceptions import ActivityError, ApplicationError, TimeoutType
from temporalio.exceptions import TimeoutError as ActivityTimeoutError

from workflows import policies
from workflows.models import OUTAGES, UNDECIDED, WORKER_LOST, OpenCall, Postponement

_MOST_DOUBLINGS = 10
"""Far beyond the longest pause, and far from what a timedelta cannot hold."""


def words_of(error: ActivityError | ApplicationError) -> str:
    """Why a step failed."""
    cause = (error.cause or error) if isinstance(error, ActivityError) else error
    return str(getattr(cause, "message", cause))


def type_of(error: ActivityError) -> str | None:
    """Its name for programs; None where it did not fail by its own code."""
    return error.cause.type if isinstance(error.cause, ApplicationError) else None


def pause_of(error: ActivityError, pauses: int) -> timedelta | None:
    """How long to wait, after so many pauses, before a step that an outage ended is tried again;
    None where it ended otherwise.
    """
    cause = error.cause
    if not isinstance(cause, ApplicationError) or cause.type not in OUTAGES:
        return None
    if not cause.non_retryable:
        doubled: timedelta = policies.FIRST_PAUSE * 2 ** min(pauses, _MOST_DOUBLINGS)
        return min(doubled, policies.LONGEST_PAUSE)
    if not cause.details:
        return None
    return timedelta(seconds=Postponement.model_validate(cause.details[0]).seconds)


def open_call_of(error: ActivityError) -> OpenCall | None:
    """The open call that an activity's failure tells of; None where it failed otherwise."""
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type == UNDECIDED:
        return OpenCall.model_validate(cause.details[0])
    return None


def was_lost(error: ActivityError) -> bool:
    """Whether the last attempt ended with its worker, not by what it did."""
    cause = error.cause
    if isinstance(cause, ActivityTimeoutError):
        return cause.type is TimeoutType.HEARTBEAT
    return isinstance(cause, ApplicationError) and cause.type == WORKER_LOST

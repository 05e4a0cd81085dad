"""After which failures an operation waits and tries again, and for how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from temporalio.exceptions import ActivityError, ApplicationError, RetryState, TimeoutType
from temporalio.exceptions import TimeoutError as ActivityTimeoutError

from workflows import policies
from workflows.failures import pause_of, type_of, was_lost, words_of
from workflows.models import OUTAGES, UNDECIDED, VIDEO_LOST, WORKER_LOST, Postponement


def after(cause: BaseException) -> ActivityError:
    """An activity that has used up its attempts."""
    error = ActivityError(
        "Activity task failed",
        scheduled_event_id=1,
        started_event_id=2,
        identity="worker",
        activity_type="start_video",
        activity_id="1",
        retry_state=RetryState.MAXIMUM_ATTEMPTS_REACHED,
    )
    error.__cause__ = cause
    return error


def failed(kind: str, *details: Any, non_retryable: bool = False) -> ActivityError:
    return after(ApplicationError("it is down.", *details, type=kind, non_retryable=non_retryable))


@pytest.mark.parametrize("kind", sorted(OUTAGES))
def test_an_outage_is_waited_for_the_longer_the_longer_it_lasts(kind: str) -> None:
    minutes = [pause_of(failed(kind), pauses) for pauses in (0, 1, 2, 5, 9)]
    assert minutes == [timedelta(minutes=m) for m in (0.5, 1, 2, 15, 15)]


def test_the_longest_outage_can_be_waited_for() -> None:
    most = policies.LONGEST_OUTAGE // policies.FIRST_PAUSE
    assert pause_of(failed("Unavailable"), most) == policies.LONGEST_PAUSE


@pytest.mark.parametrize(
    "kind",
    [UNDECIDED, VIDEO_LOST, WORKER_LOST, "NoImage", "RequestRefused", "Blocked", "InvalidApiKey"],
)
def test_what_is_no_outage_is_not_waited_for(kind: str) -> None:
    assert pause_of(failed(kind), 0) is None


def test_a_journal_that_is_damaged_for_good_is_not_waited_for() -> None:
    assert pause_of(failed("LedgerError", non_retryable=True), 0) is None


def test_a_postponement_is_as_long_as_it_says() -> None:
    details = Postponement(seconds=7200).model_dump(mode="json")
    error = failed("QuotaUsedUp", details, non_retryable=True)
    assert pause_of(error, 5) == timedelta(hours=2)


def test_a_worker_s_silence_is_no_outage() -> None:
    silent = after(ActivityTimeoutError("", type=TimeoutType.HEARTBEAT, last_heartbeat_details=[]))
    assert pause_of(silent, 0) is None
    assert was_lost(silent)
    assert type_of(silent) is None


def test_the_words_are_those_of_the_cause() -> None:
    assert words_of(failed("Unavailable")) == "it is down."
    assert words_of(ApplicationError("by itself.")) == "by itself."

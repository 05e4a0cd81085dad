"""How long an activity waits for a video, and how rarely it asks while asking fails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from workflows import policies
from workflows.activities import _pause_seconds, longest_wait
from workflows.api_errors import ApiError, Outcome

STARTED = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        (None, policies.LONGEST_WAIT),  # asked for by a workflow's code that knew no deadline
        (STARTED + timedelta(hours=1), policies.LONGEST_WAIT),
        (STARTED + timedelta(seconds=4), timedelta(seconds=4)),
        (STARTED - timedelta(seconds=4), timedelta(seconds=-4)),  # it asks once, and waits no more
    ],
)
def test_an_attempt_waits_until_the_deadline_or_hands_over(
    until: datetime | None, expected: timedelta
) -> None:
    assert longest_wait(until, STARTED) == expected


def failed(wish_seconds: float | None = None) -> ApiError:
    return ApiError("Unavailable", "down.", Outcome.RETRYABLE, wish_seconds)


def test_while_polls_fail_they_are_made_more_rarely_up_to_a_minute() -> None:
    pauses = [_pause_seconds(10.0, failed=n, error=failed()) for n in range(1, 5)]
    assert pauses == [20.0, 40.0, 60.0, 60.0]


def test_a_pause_is_never_shorter_than_the_usual_one() -> None:
    assert _pause_seconds(90.0, failed=1, error=failed()) == 90.0


def test_the_next_poll_waits_for_as_long_as_the_provider_asks() -> None:
    assert _pause_seconds(1.0, failed=1, error=failed(wish_seconds=120.0)) == 120.0

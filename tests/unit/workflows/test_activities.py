"""How long an activity waits for a video, how rarely it asks while asking fails; and what it asks
the journal before a video is paid for.
"""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from workflows import policies
from workflows.activities import VideoActivities, _pause_seconds, longest_wait
from workflows.api_errors import ApiError, Outcome
from workflows.artifacts import ArtifactStore
from workflows.gemini import Gemini
from workflows.models import VideoOrder
from workflows.payments.execute import PaidCalls
from workflows.payments.identity import sqlite_url
from workflows.payments.journal import PaymentJournal
from workflows.settings import load_settings

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


async def test_a_video_is_not_started_where_the_journal_does_not_know_its_character(
    clean_environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clean_environment.setenv("GEMINI_API_KEY", "a-key")
    settings, store = load_settings(), ArtifactStore(tmp_path)
    character = store.save("op", "character.png", b"a fox")
    with closing(PaymentJournal.open(sqlite_url(tmp_path / "till.db"), grace_seconds=0)) as journal:
        async with Gemini(settings) as gemini:
            activities = VideoActivities(
                gemini, PaidCalls(journal, store, settings), store, settings
            )
            order = VideoOrder(operation_id="op", prompt="it waves", number=1, character=character)
            with pytest.raises(ApplicationError) as raised:
                await ActivityEnvironment().run(activities.start_video, order)
        calls = journal.calls()

    assert (raised.value.type, raised.value.non_retryable) == ("LedgerError", False)
    assert "no record of the character that video-001 is to be made from" in str(raised.value)
    assert calls == ()

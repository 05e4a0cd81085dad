"""What an activity tells the provider of a character that it reads from disk; how long it waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from workflows import policies
from workflows.activities import _mime_type, longest_wait
from workflows.models import Artifact


@pytest.mark.parametrize(
    ("suffix", "mime_type"),
    [
        (".png", "image/png"),
        (".jpg", "image/jpeg"),
        (".webp", "image/webp"),
        (".img", "image/png"),  # of a type that nobody knows: sent as what most images are
    ],
)
def test_a_character_is_sent_under_the_type_that_its_name_tells(
    suffix: str, mime_type: str
) -> None:
    artifact = Artifact(path=f"op/character{suffix}", sha256="", size_bytes=0)
    assert _mime_type(artifact) == mime_type


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

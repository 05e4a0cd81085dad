"""What an activity tells the provider of a character that it reads from disk."""

from __future__ import annotations

import pytest

from workflows.activities import _mime_type
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

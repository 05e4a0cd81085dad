from __future__ import annotations

import pytest

from chaos.process.child import CANARY
from chaos.report.html.page import HIDDEN, redacted

GOOGLE = "AIza" + "Sy0123456789abcdefghijklmnopqrstuvw"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"the key {GOOGLE} is refused", GOOGLE),
        (f"{CANARY}0123456789abcdef", f"{CANARY}0123456789abcdef"),
        ("x-goog-api-key: abc123def456", "abc123def456"),
        ('{"api_key": "abc123def456"}', "abc123def456"),
        ("GEMINI_API_KEY=abc123def456", "abc123def456"),
        ("Authorization: Bearer abc.123-def", "abc.123-def"),
        ("password='hunter22'", "hunter22"),
        ("postgresql://chaos:hunter22@localhost/ledger", "hunter22"),
        ("https://hooks.slack.com/services/T0/B0/xyz", "T0/B0/xyz"),
        ("sk-proj-0123456789abcdef", "0123456789abcdef"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeKKF2", "eyJzdWIiOiIx"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in redacted(text)
    assert HIDDEN in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "GEMINI_API_KEY: set it and start again",
        "the API refused the key (HTTP 401)",
        "basic checks hold: 18 of 18",
        "http://127.0.0.1:8080/health",
        "outage-4: download_video took 2 attempt(s), not 1",
    ],
)
def test_what_is_no_secret_is_left_as_it_is(text: str) -> None:
    assert redacted(text) == text

"""What the stand-in's client does with a refusal; the rest is tested with a running stand-in."""

from __future__ import annotations

import json

import httpx
import pytest
import respx

from tests.chaos.video.fake_api.control import FakeApi, FakeApiError

URL = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (json.dumps({"error": "It is on."}), r"It is on\."),
        ("no JSON", "GET /rules was answered with status 409"),
        ("[]", "GET /rules was answered with status 409"),
        ("{}", "GET /rules was answered with status 409"),
    ],
)
async def test_a_refusal_says_why_or_what_was_asked(body: str, sentence: str) -> None:
    with respx.mock:
        respx.route().mock(return_value=httpx.Response(409, text=body))
        async with FakeApi(URL) as client:
            with pytest.raises(FakeApiError, match=sentence):
                await client.send("GET", "/rules")

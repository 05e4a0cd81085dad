"""How requests are read, and which cannot be served."""

import base64
import json

import pytest

from tests.chaos.video.fake_api.api_request import image_request, video_request
from tests.chaos.video.fake_api.media import sha256_hex


def test_the_prompt_of_an_image_is_all_its_text() -> None:
    body = {"contents": [{"parts": [{"text": "a fox"}, {"text": "in snow"}], "role": "user"}]}
    asked = image_request("m", json.dumps(body).encode(), key_valid=True)
    assert (asked.prompt, asked.problem) == ("a fox\nin snow", None)


def test_the_reference_image_of_a_video_is_known_by_its_hash() -> None:
    image = {"bytesBase64Encoded": base64.b64encode(b"png").decode(), "mimeType": "image/png"}
    body = {"instances": [{"prompt": "a fox", "image": image}]}
    asked = video_request("m", json.dumps(body).encode(), key_valid=True)
    assert (asked.prompt, asked.image_sha256) == ("a fox", sha256_hex(b"png"))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"{", "Invalid JSON"),
        (b"[]", "Invalid JSON"),
        (b'{"instances": []}', "Invalid JSON"),
        (b'{"instances": [{}]}', "must not be empty"),
        (b'{"instances": [{"prompt": "  "}]}', "must not be empty"),
        (b'{"instances": [{"prompt": "a", "image": {"bytesBase64Encoded": "?"}}]}', "base64"),
    ],
)
def test_a_video_that_cannot_be_made_says_why(body: bytes, problem: str) -> None:
    asked = video_request("m", body, key_valid=True)
    assert asked.problem is not None
    assert problem in asked.problem

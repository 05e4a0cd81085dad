"""Google's real client behind `Gemini`: one request for each call, and its key in no error.

What an answer means is tested in `test_api_errors.py` and `test_answers.py`; here each kind of
answer passes through the client once.
"""

from __future__ import annotations

import asyncio
import base64
import json
import pickle
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
import respx
from pydantic import SecretStr

from workflows import policies
from workflows.api_errors import ApiError, Outcome
from workflows.gemini import Gemini
from workflows.pricing import REFERENCE_IMAGE_MODEL, REFERENCE_VIDEO_MODEL
from workflows.settings import Settings
from workflows.success_replies import Image, MadeVideo

# One client for all tests, so one loop for all of them: a client takes a while to make.
pytestmark = pytest.mark.asyncio(loop_scope="module")

Answer = httpx.Response | Exception

KEY = "AIza-canary-of-the-gemini-tests"
BASE_URL = "http://api.test"
OPERATION = f"models/{REFERENCE_VIDEO_MODEL}/operations/op-1"
URI = "https://generativelanguage.googleapis.com/v1beta/files/abc:download?alt=media"
PNG = b"\x89PNG of a fox"
MP4 = b"\0\0\0\x18ftypisom and so on"

SETTINGS = Settings(
    gemini_api_key=SecretStr(KEY),
    google_gemini_base_url=BASE_URL,
    gemini_image_model=REFERENCE_IMAGE_MODEL,
    gemini_video_model=REFERENCE_VIDEO_MODEL,
)

CALLS: dict[str, Callable[[Gemini], Awaitable[object]]] = {
    "image": lambda gemini: gemini.generate_image("a fox"),
    "video": lambda gemini: gemini.start_video("it waves", Image(PNG, "image/png")),
    "poll": lambda gemini: gemini.poll_video(OPERATION),
    "download": lambda gemini: gemini.download_video(URI),
}
PAID = ("image", "video")
FREE = ("poll", "download")
ALL = (*PAID, *FREE)


def google_error(status: int, message: str = "No.", *details: dict[str, str]) -> httpx.Response:
    error = {"code": status, "message": message, "details": list(details)}
    return httpx.Response(status, json={"error": error})


def image_reply(content: object, finish_reason: str = "STOP") -> httpx.Response:
    candidate = {"content": content, "finishReason": finish_reason}
    return httpx.Response(200, json={"candidates": [candidate]})


def inline(data: str) -> dict[str, object]:
    return {"role": "model", "parts": [{"inlineData": {"mimeType": "image/png", "data": data}}]}


def operation(**fields: object) -> httpx.Response:
    return httpx.Response(200, json={"name": OPERATION, **fields})


def done(**content: object) -> httpx.Response:
    return operation(done=True, response={"generateVideoResponse": content})


ERRORS: dict[str, tuple[Answer, str]] = {
    "400 wrong key": (google_error(400, "No.", {"reason": "API_KEY_INVALID"}), "InvalidApiKey"),
    "403": (google_error(403), "AccessDenied"),
    "404": (google_error(404), "NotFound"),
    "429": (google_error(429), "Unavailable"),
    "500": (google_error(500), "ServerError"),
    "502 as a web page": (httpx.Response(502, html="<p>Bad gateway</p>"), "ServerError"),
    "204": (httpx.Response(204), "NoResult"),
    "connection refused": (httpx.ConnectError("refused"), "Unreachable"),
    "read timeout": (httpx.ReadTimeout("slow"), "NoReply"),
    "reset": (httpx.ReadError("reset"), "ConnectionLost"),
    "truncated": (httpx.RemoteProtocolError("closed"), "ConnectionLost"),
    "empty": (httpx.Response(200), "UnreadableReply"),
    "malformed": (httpx.Response(200, content=b'{"name": "models/'), "UnreadableReply"),
    "JSON list": (httpx.Response(200, json=[]), "UnreadableReply"),
}
"""Answers that lead to an error, and its code for a paid call."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gemini() -> AsyncIterator[Gemini]:
    async with Gemini(SETTINGS) as client:
        yield client


@pytest.fixture
def hurried(gemini: Gemini, monkeypatch: pytest.MonkeyPatch) -> Gemini:
    """The client with hardly any time for a call: the paid ones by their settings."""
    paid = {"image_deadline_seconds": 0.02, "video_start_deadline_seconds": 0.02}
    monkeypatch.setattr(gemini, "_settings", SETTINGS.model_copy(update=paid))
    monkeypatch.setattr(policies, "POLL_DEADLINE_SECONDS", 0.02)
    monkeypatch.setattr(policies, "DOWNLOAD_DEADLINE_SECONDS", 0.02)
    return gemini


@pytest.fixture
def api() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as router:
        yield router


def plan(api: respx.MockRouter, answer: Answer | Callable[..., Any]) -> None:
    if isinstance(answer, httpx.Response):
        api.route().mock(return_value=answer)
    else:
        api.route().mock(side_effect=answer)


async def failure(gemini: Gemini, api: respx.MockRouter, call: str, answer: Answer) -> ApiError:
    """The error of a call, after proof that it sent one request and no more."""
    plan(api, answer)
    with pytest.raises(ApiError) as raised:
        await CALLS[call](gemini)
    assert len(api.calls) == 1
    return raised.value


def sent(api: respx.MockRouter) -> httpx.Request:
    """The one request that was sent."""
    assert len(api.calls) == 1
    request: httpx.Request = api.calls.last.request
    return request


# What goes well


async def test_an_image_comes_with_its_type(gemini: Gemini, api: respx.MockRouter) -> None:
    plan(api, image_reply(inline(base64.b64encode(PNG).decode())))
    assert await gemini.generate_image("a fox") == Image(PNG, "image/png")
    assert sent(api).url == f"{BASE_URL}/v1beta/models/{REFERENCE_IMAGE_MODEL}:generateContent"


async def test_a_started_video_has_a_name_and_is_asked_for_with_its_image_and_length(
    gemini: Gemini, api: respx.MockRouter
) -> None:
    plan(api, operation())
    assert await gemini.start_video("it waves", Image(PNG, "image/png")) == OPERATION
    assert sent(api).url == f"{BASE_URL}/v1beta/models/{REFERENCE_VIDEO_MODEL}:predictLongRunning"
    body = json.loads(sent(api).content)
    assert body["instances"] == [
        {
            "prompt": "it waves",
            "image": {
                "bytesBase64Encoded": base64.b64encode(PNG).decode(),
                "mimeType": "image/png",
            },
        }
    ]
    assert body["parameters"] == {
        "sampleCount": 1,
        "durationSeconds": 4,
        "resolution": "720p",
    }


async def test_a_video_in_the_making_has_no_uri(gemini: Gemini, api: respx.MockRouter) -> None:
    plan(api, operation())
    assert await gemini.poll_video(OPERATION) is None
    assert sent(api).url == f"{BASE_URL}/v1beta/{OPERATION}"


async def test_a_finished_video_has_a_uri(gemini: Gemini, api: respx.MockRouter) -> None:
    plan(api, done(generatedSamples=[{"video": {"uri": URI}}]))
    assert await gemini.poll_video(OPERATION) == MadeVideo(uri=URI)


async def test_a_download_is_the_whole_file(gemini: Gemini, api: respx.MockRouter) -> None:
    plan(api, httpx.Response(200, content=MP4))
    assert await gemini.download_video(URI) == MP4
    assert sent(api).url == f"{BASE_URL}/v1beta/files/abc:download?alt=media"


async def test_a_paid_image_is_not_lost_to_a_value_that_the_client_refuses(
    gemini: Gemini, api: respx.MockRouter
) -> None:
    part = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(PNG).decode()}}
    plan(api, image_reply({"role": "model", "parts": [{**part, "thoughtSignature": "x"}]}))
    assert await gemini.generate_image("a fox") == Image(PNG, "image/png")


async def test_a_video_in_a_shape_that_the_client_does_not_know_is_taken(
    gemini: Gemini, api: respx.MockRouter
) -> None:
    plan(api, operation(done=True, response={"generateVideoResponse": [{"uri": URI}]}))
    assert await gemini.poll_video(OPERATION) == MadeVideo(uri=URI)


async def test_a_video_that_is_taken_with_a_202_has_its_name(
    gemini: Gemini, api: respx.MockRouter
) -> None:
    plan(api, httpx.Response(202, json={"name": OPERATION}))
    assert await gemini.start_video("it waves", Image(PNG, "image/png")) == OPERATION


# What goes wrong


@pytest.mark.parametrize(("answer", "code"), ERRORS.values(), ids=ERRORS)
async def test_an_error_has_the_meaning_of_its_answer(
    gemini: Gemini, api: respx.MockRouter, answer: Answer, code: str
) -> None:
    assert (await failure(gemini, api, "image", answer)).code == code


@pytest.mark.parametrize("call", ALL)
async def test_the_wait_that_the_provider_asks_for_is_told(
    gemini: Gemini, api: respx.MockRouter, call: str
) -> None:
    wish = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
    error = await failure(gemini, api, call, google_error(429, "Slow down.", wish))
    assert error.retry_after_seconds == 7


async def test_without_a_wish_there_is_no_wait(gemini: Gemini, api: respx.MockRouter) -> None:
    error = await failure(gemini, api, "image", google_error(429))
    assert error.retry_after_seconds is None


async def test_a_file_that_is_no_video_is_not_taken(gemini: Gemini, api: respx.MockRouter) -> None:
    error = await failure(gemini, api, "download", httpx.Response(200, content=b"RIFF of another"))
    assert (error.code, error.outcome) == ("UnreadableReply", Outcome.RETRYABLE)


async def test_what_the_client_refuses_to_send_is_permanent(
    gemini: Gemini, api: respx.MockRouter
) -> None:
    with pytest.raises(ApiError, match="before it was sent") as raised:
        await gemini.poll_video("")
    assert (raised.value.code, raised.value.outcome) == ("InvalidRequest", Outcome.PERMANENT)
    assert not api.calls


# Time


@pytest.mark.parametrize(
    ("call", "outcome"),
    [
        ("image", Outcome.IN_DOUBT),
        ("video", Outcome.IN_DOUBT),
        ("poll", Outcome.RETRYABLE),
        ("download", Outcome.RETRYABLE),
    ],
)
async def test_a_call_is_given_up_at_its_deadline(
    hurried: Gemini, api: respx.MockRouter, call: str, outcome: Outcome
) -> None:
    async def never(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        return httpx.Response(200)

    plan(api, never)
    with pytest.raises(ApiError, match=r"no reply within 0\.02 s") as raised:
        await CALLS[call](hurried)
    assert (raised.value.code, raised.value.outcome) == ("NoReply", outcome)
    assert len(api.calls) <= 1


@pytest.mark.parametrize("call", ALL)
async def test_a_cancel_passes_through(gemini: Gemini, api: respx.MockRouter, call: str) -> None:
    asked = asyncio.Event()

    async def never(_: httpx.Request) -> httpx.Response:
        asked.set()
        await asyncio.Event().wait()
        return httpx.Response(200)

    plan(api, never)
    task = asyncio.ensure_future(CALLS[call](gemini))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# The key


@pytest.mark.parametrize("answer", [answer for answer, _ in ERRORS.values()], ids=ERRORS)
@pytest.mark.parametrize("call", ALL)
async def test_no_error_shows_the_key_or_leads_to_one_with_the_key(
    gemini: Gemini, api: respx.MockRouter, call: str, answer: Answer
) -> None:
    error = await failure(gemini, api, call, answer)
    assert sent(api).headers["x-goog-api-key"] == KEY
    assert KEY not in str(sent(api).url)
    shown = [str(error), repr(error), repr(error.args), *traceback.format_exception(error)]
    assert KEY not in "".join(shown)
    assert KEY.encode() not in pickle.dumps(error)
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


async def test_a_key_that_the_provider_repeats_is_hidden(
    gemini: Gemini, api: respx.MockRouter
) -> None:
    error = await failure(gemini, api, "image", google_error(500, f"Broken for {KEY}, sorry."))
    assert str(error) == "the image call failed (HTTP 500): Broken for [key], sorry."


async def test_a_key_that_the_provider_repeats_as_a_part_of_an_address_is_hidden(
    gemini: Gemini, api: respx.MockRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_signs = {"gemini_api_key": SecretStr("a/key+of=signs")}
    monkeypatch.setattr(gemini, "_settings", SETTINGS.model_copy(update=with_signs))
    answer = google_error(500, "See https://x.test/?key=a%2Fkey%2Bof%3Dsigns now.")
    error = await failure(gemini, api, "image", answer)
    assert "See https://x.test/?key=[key] now." in str(error)


@pytest.mark.parametrize("before", range(268, 301, 4))
async def test_not_half_a_key_is_passed_on_where_a_message_is_cut(
    gemini: Gemini, api: respx.MockRouter, before: int
) -> None:
    answer = google_error(500, f"{'x' * before} {KEY} and more{' and more' * 20}")
    error = await failure(gemini, api, "image", answer)
    assert KEY[:4] not in str(error)
    assert str(error).endswith("…")


async def test_a_key_in_a_failed_operation_is_not_passed_on(
    gemini: Gemini, api: respx.MockRouter
) -> None:
    answer = operation(done=True, error={"code": 13, "message": f"quota of {KEY}"})
    error = await failure(gemini, api, "poll", answer)
    assert "quota of [key]" in str(error)

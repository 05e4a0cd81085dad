"""What a success holds: an image, a name, a video, or what to say and do where it is none.

The replies of public bug reports are in `tests/cases`, through the real client.
"""

from __future__ import annotations

import base64

import httpx
import pytest

from workflows.api_errors import ApiError, Call, Outcome
from workflows.success_replies import Image, MadeVideo, image_of, name_of, video_of

IMAGE = Call("image", 1, paid=True)
VIDEO = Call("video", 1, paid=True)
POLL = Call("poll", 1, paid=False)

PNG = b"\x89PNG\r\n\x1a\n of a fox"
JPEG = b"\xff\xd8\xff of a fox"
MP4 = b"\0\0\0\x18ftypisom\xff\xfe\xfb"
NAME = "models/veo/operations/op-1"
URI = "https://api.test/v1beta/files/abc:download?alt=media"


def reply(body: object) -> httpx.Response:
    return httpx.Response(200, json=body)


def coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def inline(data: bytes, mime_type: str | None = "image/png", **more: object) -> dict[str, object]:
    return {"inlineData": {"mimeType": mime_type, "data": coded(data)}, **more}


def candidate(*parts: object, reason: str = "STOP", **more: object) -> dict[str, object]:
    return {"content": {"parts": list(parts)}, "finishReason": reason, **more}


def made(*parts: object, reason: str = "STOP", **usage: object) -> httpx.Response:
    return reply({"candidates": [candidate(*parts, reason=reason)], "usageMetadata": usage})


def no_image(body: object) -> ApiError:
    with pytest.raises(ApiError) as raised:
        image_of(reply(body), IMAGE)
    return raised.value


# An image


@pytest.mark.parametrize(
    ("parts", "image"),
    [
        pytest.param([inline(PNG)], Image(PNG, "image/png"), id="one"),
        pytest.param([{"text": "Here:"}, inline(PNG)], Image(PNG, "image/png"), id="after words"),
        pytest.param([inline(PNG), inline(JPEG)], Image(JPEG, "image/jpeg"), id="the last"),
        pytest.param(
            [inline(PNG), inline(JPEG, thought=True)],
            Image(PNG, "image/png"),
            id="no draft, even if it is the last",
        ),
        pytest.param(
            [inline(PNG, thought=True), inline(JPEG, thought=True)],
            Image(JPEG, "image/jpeg"),
            id="the last draft where there are only drafts",
        ),
        pytest.param(
            [inline(PNG), inline(b"{}", "application/json")],
            Image(PNG, "image/png"),
            id="no JSON",
        ),
        pytest.param([inline(PNG), inline(b"")], Image(PNG, "image/png"), id="no empty one"),
        pytest.param([inline(PNG, "IMAGE/PNG; q=1")], Image(PNG, "image/png"), id="parameters"),
        pytest.param([inline(JPEG, "image/jpg")], Image(JPEG, "image/jpeg"), id="jpg"),
        pytest.param([inline(PNG, newField={})], Image(PNG, "image/png"), id="with a new field"),
    ],
)
def test_the_image_of_a_reply(parts: list[object], image: Image) -> None:
    assert image_of(made(*parts), IMAGE) == image


def test_an_image_is_taken_whatever_the_reason_of_its_end() -> None:
    assert image_of(made(inline(PNG), reason="MAX_TOKENS"), IMAGE) == Image(PNG, "image/png")


def test_an_image_of_any_candidate_is_taken() -> None:
    body = {"candidates": [{"finishReason": "NO_IMAGE"}, candidate(inline(PNG))]}
    assert image_of(reply(body), IMAGE) == Image(PNG, "image/png")


@pytest.mark.parametrize(
    ("mime_type", "suffix"),
    [("image/jpeg", ".jpg"), ("image/heic", ".heic"), ("image/x", ".x.img")],
)
def test_the_file_of_an_image_is_named_by_its_type(mime_type: str, suffix: str) -> None:
    assert Image(b"?", mime_type).suffix == suffix


# In place of an image


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"candidates": [candidate(inline(PNG, None))]}, id="image without a type"),
        pytest.param(
            {"candidates": [candidate(inline(PNG, "application/octet-stream"))]}, id="other type"
        ),
        pytest.param(
            {
                "candidates": [
                    candidate({"inlineData": {"mimeType": "image/png", "data": "no base64!"}})
                ]
            },
            id="not base64",
        ),
        pytest.param(
            {
                "candidates": [candidate({"text": "Here it is."})],
                "usageMetadata": {
                    "candidatesTokensDetails": [{"modality": "image", "tokenCount": 1}]
                },
            },
            id="counted as an image",
        ),
        pytest.param(
            {
                "candidates": [candidate({"text": "x" * 10})],
                "usageMetadata": {"candidatesTokenCount": 268},
            },
            id="more tokens than words",
        ),
        pytest.param(
            {"candidates": [candidate({"inline_data": {"data": "aQ=="}})]}, id="by a gateway"
        ),
        pytest.param(
            {
                "candidates": [candidate()],
                "usageMetadata": {
                    "candidatesTokensDetails": [
                        {"modality": "MODALITY_UNSPECIFIED", "tokenCount": 1290}
                    ]
                },
            },
            id="counted as who knows what",
        ),
        pytest.param(
            {
                "candidates": [candidate()],
                "usageMetadata": {
                    "candidatesTokenCount": "1295",
                    "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 5}],
                },
            },
            id="more tokens than are broken down",
        ),
        pytest.param(
            {
                "promptFeedback": {"blockReason": "SAFETY"},
                "candidates": [candidate(reason="MAX_TOKENS")],
            },
            id="blocked after it was made",
        ),
    ],
)
def test_what_may_have_been_billed_is_in_doubt(body: object) -> None:
    error = no_image(body)
    assert (error.code, error.outcome) == ("NoUsableImage", Outcome.IN_DOUBT)


@pytest.mark.parametrize(
    "reason",
    ["STOP", "NO_IMAGE", "IMAGE_OTHER", "OTHER", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"],
)
def test_where_the_model_only_slipped_another_try_may_work(reason: str) -> None:
    error = no_image({"candidates": [candidate(reason=reason)]})
    assert (error.code, error.outcome) == ("NoImage", Outcome.RETRYABLE)
    assert reason in str(error)


@pytest.mark.parametrize(
    "body",
    [
        {"candidates": []},
        {"candidates": [None, 5]},
        {"candidates": [{"content": None, "finishReason": None}]},
        {"usageMetadata": {"promptTokenCount": 9}},
        {"promptFeedback": {"blockReason": "BLOCK_REASON_UNSPECIFIED"}},
        {"candidates": [candidate({"text": "I think.", "thought": True})]},
        {
            "candidates": [candidate()],
            "usageMetadata": {
                "candidatesTokenCount": 900,
                "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 900}],
            },
        },
    ],
)
def test_an_unexplained_lack_is_no_reason_to_reword(body: object) -> None:
    error = no_image(body)
    assert (error.code, error.outcome) == ("NoImage", Outcome.RETRYABLE)
    assert "reword" not in str(error)


@pytest.mark.parametrize("reason", ["IMAGE_SAFETY", "RECITATION", "SOMETHING_NEW"])
def test_a_reason_that_lasts_asks_for_other_words(reason: str) -> None:
    error = no_image({"candidates": [candidate(reason=reason)]})
    assert (error.code, error.outcome) == ("NoImage", Outcome.PERMANENT)
    assert str(error) == f"the API made no image; reword the character prompt: {reason}."


def test_a_model_that_answers_in_words_is_heard() -> None:
    error = no_image({"candidates": [candidate({"text": "I can't draw her."})]})
    assert error.outcome is Outcome.PERMANENT
    assert str(error).endswith("reword the character prompt: STOP. I can't draw her.")


def test_a_long_text_is_not_taken_for_an_image() -> None:
    error = no_image(
        {
            "candidates": [candidate({"text": "x" * 2000})],
            "usageMetadata": {"candidatesTokenCount": 500},
        }
    )
    assert error.outcome is Outcome.PERMANENT


@pytest.mark.parametrize("body", [{}, [], "x", 5, {"candidates": None}, {"usageMetadata": None}])
def test_a_reply_that_tells_nothing_of_an_image_is_in_doubt(body: object) -> None:
    error = no_image(body)
    assert (error.code, error.outcome) == ("UnreadableReply", Outcome.IN_DOUBT)


# A name


def test_a_name_is_kept_whatever_else_is_said() -> None:
    assert name_of(reply({"name": NAME, "done": True, "error": "no"}), VIDEO) == NAME


@pytest.mark.parametrize("body", [{}, [], {"name": 5}, {"name": ""}, {"name": "a gateway"}])
def test_a_start_without_a_name_is_in_doubt(body: object) -> None:
    with pytest.raises(ApiError) as raised:
        name_of(reply(body), VIDEO)
    assert (raised.value.code, raised.value.outcome) == ("UnreadableReply", Outcome.IN_DOUBT)


def test_an_error_in_place_of_a_name_is_told() -> None:
    with pytest.raises(ApiError, match=r"could not be read\. No quota\.$"):
        name_of(reply({"error": {"code": 429, "message": "No quota."}}), VIDEO)


# A video


def poll(**fields: object) -> MadeVideo | None:
    return video_of(reply({"name": NAME, **fields}), POLL)


def done(**content: object) -> MadeVideo | None:
    return poll(done=True, response={"generateVideoResponse": content})


@pytest.mark.parametrize("fields", [{}, {"done": False}, {"done": "false"}, {"error": {}}])
def test_a_video_that_is_not_done_is_in_the_making(fields: dict[str, object]) -> None:
    assert poll(**fields) is None


@pytest.mark.parametrize(
    "response",
    [
        {"generateVideoResponse": {"generatedSamples": [{"video": {"uri": URI}}]}},
        {"generateVideoResponse": [{"generatedSamples": [{"video": {"uri": URI}}]}]},
        {"generatedVideos": [{"video": {"uri": URI}}]},
        {"video": {"downloadUri": URI}},
    ],
)
def test_the_address_of_a_video_is_found_in_every_shape(response: object) -> None:
    assert poll(done=True, response=response) == MadeVideo(uri=URI)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(coded(MP4), id="plain"),
        pytest.param(base64.urlsafe_b64encode(MP4).decode(), id="for addresses"),
        pytest.param(coded(MP4).rstrip("="), id="not padded"),
        pytest.param(base64.encodebytes(MP4).decode(), id="in lines"),
    ],
)
@pytest.mark.parametrize("name", ["encodedVideo", "bytesBase64Encoded", "videoBytes"])
def test_a_video_that_came_is_kept(name: str, text: str) -> None:
    assert done(generatedSamples=[{"video": {name: text}}]) == MadeVideo(data=MP4)


def test_a_video_is_taken_although_another_was_filtered() -> None:
    found = done(raiMediaFilteredCount=1, generatedSamples=[{"video": {"uri": URI}}])
    assert found == MadeVideo(uri=URI)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"generatedSamples": []},
        {"generatedSamples": [{"video": None}]},
        {"generatedSamples": [{"video": {"encodedVideo": "%%%"}}]},
        {"generatedSamples": [{"video": {"uri": "gs://bucket/x.mp4"}}]},
        {"raiMediaFilteredCount": 0, "raiMediaFilteredReasons": []},
    ],
)
def test_a_video_that_is_done_and_not_there_is_lost(content: dict[str, object]) -> None:
    with pytest.raises(ApiError) as raised:
        done(**content)
    assert (raised.value.code, raised.value.outcome) == ("NothingDelivered", Outcome.LOST)


@pytest.mark.parametrize("fields", [{}, {"response": None}, {"response": "x"}, {"error": {}}])
def test_a_video_that_is_done_with_no_word_is_lost(fields: dict[str, object]) -> None:
    with pytest.raises(ApiError) as raised:
        poll(done=True, **fields)
    assert (raised.value.code, raised.value.outcome) == ("NothingDelivered", Outcome.LOST)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"raiMediaFilteredCount": 1}, ""),
        ({"raiMediaFilteredCount": "1"}, ""),
        ({"raiMediaFilteredReasons": ["The audio.", "And more"]}, " The audio. And more."),
        ({"raiMediaFilteredReasons": "The audio."}, " The audio."),
    ],
)
def test_a_filter_says_why(content: dict[str, object], words: str) -> None:
    with pytest.raises(ApiError) as raised:
        done(**content)
    assert (raised.value.code, raised.value.outcome) == ("VideoFiltered", Outcome.PERMANENT)
    assert str(raised.value) == (
        f"the API's safety filter withheld it; reword the video prompt.{words}"
    )


@pytest.mark.parametrize(
    "mark", [{"code": 8}, {"code": 13}, {"code": 14}, {"code": "14"}, {"code": 503}]
)
@pytest.mark.parametrize("fields", [{"done": True}, {}])
def test_a_fault_of_the_provider_costs_nothing_and_may_be_begun_anew(
    mark: dict[str, object], fields: dict[str, object]
) -> None:
    with pytest.raises(ApiError, match=r"for now: Boom\.$") as raised:
        poll(error={**mark, "message": "Boom"}, **fields)
    assert (raised.value.code, raised.value.outcome) == ("VideoNotMade", Outcome.NOT_MADE)


@pytest.mark.parametrize("status", ["UNAVAILABLE", "INTERNAL", "RESOURCE_EXHAUSTED"])
def test_a_fault_of_the_provider_is_known_by_its_name(status: str) -> None:
    with pytest.raises(ApiError) as raised:
        poll(done=True, error={"status": status})
    assert raised.value.outcome is Outcome.NOT_MADE


@pytest.mark.parametrize("error", [{"code": 3, "message": "Too many."}, "Too many.", {"code": 4}])
def test_a_video_that_failed_for_good_is_permanent(error: object) -> None:
    with pytest.raises(ApiError) as raised:
        poll(done=True, error=error)
    assert (raised.value.code, raised.value.outcome) == ("VideoFailed", Outcome.PERMANENT)


@pytest.mark.parametrize(
    ("fields", "code"), [({"error": "Too many."}, "VideoFailed"), ({}, "NothingDelivered")]
)
def test_an_end_is_one_without_a_name_as_well(fields: dict[str, object], code: str) -> None:
    with pytest.raises(ApiError) as raised:
        video_of(reply({"done": True, **fields}), POLL)
    assert raised.value.code == code


@pytest.mark.parametrize(
    "error", [{"code": 429, "message": "Slow."}, {"code": 14, "message": "Slow."}, "Slow."]
)
def test_an_error_of_a_gateway_refunds_no_video(error: object) -> None:
    with pytest.raises(ApiError, match=r"Slow\.$") as raised:
        video_of(reply({"error": error}), POLL)
    assert (raised.value.code, raised.value.outcome) == ("UnreadableReply", Outcome.RETRYABLE)


@pytest.mark.parametrize("body", [{}, [], "x", {"done": False}])
def test_a_poll_that_tells_nothing_is_tried_again(body: object) -> None:
    with pytest.raises(ApiError) as raised:
        video_of(reply(body), POLL)
    assert (raised.value.code, raised.value.outcome) == ("UnreadableReply", Outcome.RETRYABLE)

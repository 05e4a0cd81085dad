"""What the provider says, in Google's own words and shapes."""

import base64
import json
from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, JsonValue

from tests.chaos.video.fake_api.bills import Outcome
from tests.chaos.video.fake_api.media import sha256_hex
from tests.chaos.video.fake_api.rules import FaultKind
from tests.chaos.video.fake_api.state import Operation

JSON = "application/json"
_STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
IMAGE_TOKENS = 1290
"""Those of an image, as the provider bills it."""
_FAILURES = {
    3: (
        "The prompt could not be submitted. This prompt contains sensitive words that violate "
        "Google's Responsible AI practices. Try rephrasing the prompt."
    ),
    8: "The service is currently overloaded.",
    13: (
        "Video generation failed due to an internal server issue. "
        "Please try again in a few minutes. You have not been charged."
    ),
    14: "The service is currently experiencing high load. Please try again later.",
}
"""What an operation says that ends in such an error."""


class Delivery(StrEnum):
    """How a reply leaves: whole, cut in half, or not at all (reset, hang)."""

    WHOLE = "whole"
    TRUNCATED = "truncated"
    RESET = "reset"
    HANG = "hang"


class Reply(BaseModel):
    """A reply and the way it leaves. `kind` is what the bills call it.

    `headers` have lower-case names, and one that says the content-type overrules `media_type`.
    `sha256` is that of the image or video inside; None where there is none.
    """

    model_config = ConfigDict(frozen=True)

    kind: str = "ok"
    status: int = 200
    body: bytes = b""
    media_type: str = JSON
    headers: Mapping[str, str] = {}
    sha256: str | None = None
    delivery: Delivery = Delivery.WHOLE


def json_reply(content: Mapping[str, JsonValue], *, kind: str = "ok", status: int = 200) -> Reply:
    """A JSON body."""
    return Reply(kind=kind, status=status, body=json.dumps(content).encode())


def error_reply(
    status: int, message: str, *, kind: str, details: tuple[JsonValue, ...] = ()
) -> Reply:
    """Google's error."""
    return json_reply(error_content(status, message, *details), kind=kind, status=status)


def error_content(
    status: int, message: str, *details: JsonValue, name: str | None = None
) -> dict[str, JsonValue]:
    """Google's error body; `name` is that of its status, where it is not the usual one."""
    error: dict[str, JsonValue] = {
        "code": status,
        "message": message,
        "status": name or _STATUS_NAMES.get(status, "UNKNOWN"),
    }
    if details:
        error["details"] = list(details)
    return {"error": error}


def invalid_key() -> Reply:
    """The key is missing or wrong."""
    return json_reply(invalid_key_content(), kind="invalid_key", status=400)


def invalid_key_content() -> dict[str, JsonValue]:
    """What is said of a key that is missing or wrong."""
    detail: JsonValue = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }
    message = "API key not valid. Please pass a valid API key."
    return error_content(400, message, detail)


def key_given_away() -> Reply:
    """The host that a redirect points to was given the key, which is none of its business."""
    message = "This host must not be given the API key."
    return error_reply(403, message, kind="key_given_away")


def invalid_request(problem: str) -> Reply:
    """The request cannot be served as it stands."""
    return error_reply(400, problem, kind="invalid_request")


def not_found(message: str) -> Reply:
    """There is no such operation, file or page."""
    return error_reply(404, message, kind="not_found")


def blocked_image(prompt: str) -> Reply:
    """The safety filter refused the prompt of an image."""
    feedback: JsonValue = {"blockReason": "SAFETY"}
    content = {"promptFeedback": feedback, "usageMetadata": usage(prompt)}
    return json_reply(content, kind="blocked")


def blocked_video() -> Reply:
    """The safety filter refused the prompt of a video."""
    message = (
        "The prompt could not be submitted: it contains words that violate "
        "Google's safety policies. Try rephrasing the prompt."
    )
    return error_reply(400, message, kind="blocked")


def image(prompt: str, png: bytes) -> Reply:
    """A generated image."""
    content: JsonValue = {"role": "model", "parts": [image_part(png)]}
    candidate: JsonValue = {"content": content, "finishReason": "STOP", "index": 0}
    counts = usage(prompt, IMAGE_TOKENS)
    reply = json_reply({"candidates": [candidate], "usageMetadata": counts})
    return reply.model_copy(update={"sha256": sha256_hex(png)})


def image_part(png: bytes) -> dict[str, JsonValue]:
    """An image as a part of a reply."""
    data = base64.b64encode(png).decode()
    return {"inlineData": {"mimeType": "image/png", "data": data}}


def usage(prompt: str, image_tokens: int = 0) -> JsonValue:
    """What is billed, in tokens: those of a prompt are estimated, at four letters each."""
    prompt_tokens = -(-len(prompt) // 4)
    made: dict[str, JsonValue] = {
        "candidatesTokenCount": image_tokens,
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": image_tokens}],
    }
    return {
        "promptTokenCount": prompt_tokens,
        **(made if image_tokens else {}),
        "totalTokenCount": prompt_tokens + image_tokens,
    }


def filtered_image(prompt: str) -> Reply:
    """An image that the safety filter kept back."""
    candidate: JsonValue = {
        "finishReason": "IMAGE_SAFETY",
        "finishMessage": "The generated image was kept back by the safety filter.",
        "index": 0,
    }
    content = {"candidates": [candidate], "usageMetadata": usage(prompt)}
    return json_reply(content, kind=FaultKind.RAI_FILTERED.value)


def running(operation_name: str) -> Reply:
    """An operation that is not done, or was started right now."""
    return json_reply({"name": operation_name})


def done(operation: Operation) -> Reply:
    """An operation at its end, whichever that is."""
    end: dict[str, JsonValue]
    sha256 = None
    if operation.outcome is Outcome.FAILED:
        code = operation.error_code or 13
        end = {"error": {"code": code, "message": _FAILURES[code]}}
    elif operation.outcome is Outcome.FILTERED:
        end = _videos(
            raiMediaFilteredCount=1,
            raiMediaFilteredReasons=["The generated video was kept back by the safety filter."],
        )
    elif operation.outcome is Outcome.UNDELIVERED:
        end = _videos()
    elif operation.outcome is Outcome.INLINE:
        content = operation.content()
        sha256 = sha256_hex(content)
        data = base64.b64encode(content).decode()
        end = _videos(generatedSamples=[{"video": {"encodedVideo": data, "encoding": "video/mp4"}}])
    else:
        uri = (
            "https://generativelanguage.googleapis.com/v1beta/"
            f"files/{operation.file}:download?alt=media"
        )
        end = _videos(generatedSamples=[{"video": {"uri": uri}}])
    reply = json_reply({"name": operation.name, "done": True, **end})
    return reply.model_copy(update={"sha256": sha256})


def _videos(**content: JsonValue) -> dict[str, JsonValue]:
    kind = "type.googleapis.com/google.ai.generativelanguage.v1beta.PredictLongRunningResponse"
    return {"response": {"@type": kind, "generateVideoResponse": content}}


def video(content: bytes) -> Reply:
    """The bytes of a video."""
    return Reply(body=content, media_type="video/mp4", sha256=sha256_hex(content))

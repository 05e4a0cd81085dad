"""Rules for replies that public reports show, in the words and shapes that these show.

Each takes the other fields of a rule (`match`, `times`, `skip`, ...) as they are.
"""

from typing import Any

from pydantic import JsonValue

from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.replies import (
    IMAGE_TOKENS,
    error_content,
    usage,
)
from tests.chaos.video.fake_api.rules import NAME, FaultKind, FaultRule, When

_TYPES = "type.googleapis.com/google.rpc"


def daily_quota(call: Call, **fields: Any) -> FaultRule:
    """The quota of the day is used up; the reply names a short wait all the same."""
    violation: JsonValue = {
        "quotaMetric": "generativelanguage.googleapis.com/generate_requests_per_model_per_day",
        "quotaId": "GenerateRequestsPerDayPerProjectPerModel",
        "quotaDimensions": {"model": "veo-3.1-fast", "location": "global"},
        "quotaValue": "10",
    }
    message = (
        "You exceeded your current quota, please check your plan and billing details. "
        "Please retry in 27.3s."
    )
    return _error(call, 429, message, _quota(violation), _retry_in("27s"), **fields)


def no_quota(call: Call, **fields: Any) -> FaultRule:
    """The project has no quota at all, for nobody pays for it: the limit is 0."""
    metric = "generativelanguage.googleapis.com/generate_content_free_tier_requests"
    violation: JsonValue = {
        "quotaMetric": metric,
        "quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
        "quotaDimensions": {"location": "global"},
    }
    message = (
        "You exceeded your current quota, please check your plan and billing details. "
        f"* Quota exceeded for metric: {metric}, limit: 0. Please retry in 51s."
    )
    return _error(call, 429, message, _quota(violation), _retry_in("51s"), **fields)


def cancelled(call: Call, **fields: Any) -> FaultRule:
    """The provider's own backend gave the call up."""
    return _error(call, 499, "The operation was cancelled.", **fields)


def file_gone(**fields: Any) -> FaultRule:
    """A video can be found, and its file cannot any more."""
    return _error(Call.DOWNLOAD, 404, "File not found.", **fields)


def billed_without_image(**fields: Any) -> FaultRule:
    """An image is billed and its tokens are counted, and text is all that arrives."""
    parts: list[JsonValue] = [{"text": "Here is an image of it: "}]
    return _image("STOP", parts, tokens=IMAGE_TOKENS, when=When.AFTER_BILLING, **fields)


def no_image(reason: str = "NO_IMAGE", message: str | None = None, **fields: Any) -> FaultRule:
    """The model made no image, for that reason (any finishReason), and bills none."""
    return _image(reason, [], message=message, **fields)


def out_of_tokens(**fields: Any) -> FaultRule:
    """The model used up all its tokens before it came to the image; they are billed."""
    return _image("MAX_TOKENS", [], tokens=32768, when=When.AFTER_BILLING, **fields)


def taken_with_202(**fields: Any) -> FaultRule:
    """A video start is taken and billed, and the status says 202."""
    content: JsonValue = {"name": NAME}
    return _status(Call.VIDEO_START, 202, content, when=When.AFTER_BILLING, **fields)


def _image(
    reason: str,
    parts: list[JsonValue],
    *,
    message: str | None = None,
    tokens: int = 0,
    **fields: Any,
) -> FaultRule:
    candidate: dict[str, JsonValue] = {
        "finishReason": reason,
        "index": 0,
        "content": {"role": "model", "parts": parts},
    }
    if message is not None:
        candidate["finishMessage"] = message
    content: JsonValue = {"candidates": [candidate], "usageMetadata": usage("a fox", tokens)}
    return _status(Call.IMAGE, 200, content, **fields)


def _error(call: Call, status: int, message: str, *details: JsonValue, **fields: Any) -> FaultRule:
    return _status(call, status, error_content(status, message, *details), **fields)


def _status(call: Call, status: int, body: JsonValue, **fields: Any) -> FaultRule:
    return FaultRule(call=call, kind=FaultKind.STATUS, status=status, body=body, **fields)


def _quota(violation: JsonValue) -> JsonValue:
    return {"@type": f"{_TYPES}.QuotaFailure", "violations": [violation]}


def _retry_in(delay: str) -> JsonValue:
    return {"@type": f"{_TYPES}.RetryInfo", "retryDelay": delay}

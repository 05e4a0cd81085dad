"""What a reply that the provider calls a success really holds: an image, a video, or neither.

Each reads the reply as it came. The client refuses the whole of it for one value that it does not
understand, and drops some of the rest: what was paid for would be lost with it. Each raises
ValueError where the reply is no JSON.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from workflows.api_errors import ApiError, Call, Outcome, unreadable
from workflows.artifacts import image_type, suffix_of
from workflows.error_replies import in_short
from workflows.models import NOTHING_DELIVERED, VIDEO_NOT_MADE

_Json = dict[str, Any]

_FEWEST_IMAGE_TOKENS = 258
"""The least that any Gemini model counts for an image (the provider's guide on tokens, 2026-09)."""

_THINGS = ("inlineData", "fileData", "inline_data", "file_data")
"""Parts that are no text, under the names of JSON and, from some gateways, of the protocol."""

_TRANSIENT_REASONS = frozenset(
    {"STOP", "FINISH_REASON_UNSPECIFIED", "NO_IMAGE", "IMAGE_OTHER", "OTHER"}
    | {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"}
)
"""With these the model only slipped: reports tell that the same prompt works at the next try."""

_TRANSIENT_CODES = frozenset(
    {"8", "13", "14", "RESOURCE_EXHAUSTED", "INTERNAL", "UNAVAILABLE", "429", "500", "503"}
)
"""Of an operation's error: overloaded, internal, unavailable, by its number, name or HTTP status.
Not charged, by the provider's own words, and the same request works later.
"""


@dataclass(frozen=True)
class Image:
    """An image as it came from the provider."""

    data: bytes
    mime_type: str

    @property
    def suffix(self) -> str:
        """How the name of its file ends."""
        return suffix_of(self.mime_type)


@dataclass(frozen=True)
class MadeVideo:
    """A finished video: where it can be fetched, or what came in place of an address."""

    uri: str | None = None
    data: bytes | None = None


def image_of(reply: httpx.Response | None, call: Call) -> Image:
    """The image of a reply. Raises ApiError: what came in its place, and what that may cost."""
    body = _body(reply)
    candidates = _dicts(body.get("candidates"))
    parts = [part for each in candidates for part in _dicts(_dict(each, "content").get("parts"))]
    found = _final_image(parts)
    if found:
        return found
    if not any(body.get(name) for name in ("promptFeedback", "usageMetadata")) and (
        body.get("candidates") is None
    ):
        raise unreadable(call, _message(body.get("error")))
    reasons = [str(each["finishReason"]) for each in candidates if each.get("finishReason")]
    blocked = str(_dict(body, "promptFeedback").get("blockReason") or "")
    said = _said(body, candidates, parts, reasons)
    if "MAX_TOKENS" in reasons or _may_be_billed(_dict(body, "usageMetadata"), parts):
        raise ApiError(
            "NoUsableImage",
            f"the API may have billed the image and returned no usable one{said}",
            Outcome.IN_DOUBT,
        )
    if blocked and blocked != "BLOCK_REASON_UNSPECIFIED":
        raise ApiError(
            "Blocked",
            f"the character prompt was blocked ({blocked}); reword it{said}",
            Outcome.PERMANENT,
        )
    if not _text(parts) and _TRANSIENT_REASONS.issuperset(reasons):
        raise ApiError(
            "NoImage",
            f"the API made no image and gave no permanent reason{said}",
            Outcome.RETRYABLE,
        )
    raise ApiError(
        "NoImage", f"the API made no image; reword the character prompt{said}", Outcome.PERMANENT
    )


def _final_image(parts: Sequence[_Json]) -> Image | None:
    """The last one that is no draft of the model's thoughts; where there are drafts only, the last
    of these.
    """
    images = [(part, _image_in(part)) for part in parts]
    final = [image for part, image in images if image and not part.get("thought")]
    drafts = [image for part, image in images if image and part.get("thought")]
    found = final or drafts
    return found[-1] if found else None


def _image_in(part: _Json) -> Image | None:
    blob = _dict(part, "inlineData")
    data = _decoded(blob.get("data"))
    kind = image_type(str(blob.get("mimeType") or ""), data) if data else None
    return Image(data, kind) if data and kind else None


def _may_be_billed(usage: _Json, parts: Sequence[_Json]) -> bool:
    """Whether something that is no text was made: it came unusable, or it was counted."""
    if any(part.get(name) for part in parts for name in _THINGS):
        return True
    details = _dicts(usage.get("candidatesTokensDetails"))
    text = sum(len(str(part.get("text") or "")) for part in parts)  # a token is a letter at least
    for count in details:
        tokens = _count(count.get("tokenCount"))
        if str(count.get("modality")).upper() == "TEXT":
            text = max(text, tokens)
        elif tokens:
            return True
    return _count(usage.get("candidatesTokenCount")) - text >= _FEWEST_IMAGE_TOKENS


def _count(number: object) -> int:
    return int(str(number)) if re.fullmatch(r"\d{1,12}", str(number)) else 0


def _said(
    body: _Json, candidates: Sequence[_Json], parts: Sequence[_Json], reasons: Sequence[str]
) -> str:
    """The reasons and the words of the provider and of the model, as the end of a sentence."""
    words = [
        ", ".join(reasons),
        str(_dict(body, "promptFeedback").get("blockReasonMessage") or ""),
        *(str(candidate.get("finishMessage") or "") for candidate in candidates),
        _text(parts),
    ]
    told = " ".join(filter(None, map(in_short, words)))
    return f": {told}" if told else " (no reason given)."


def _text(parts: Sequence[_Json]) -> str:
    """What the model says, without its thoughts."""
    said = (part.get("text") for part in parts if not part.get("thought"))
    return " ".join(text for text in said if isinstance(text, str) and text)


def name_of(reply: httpx.Response | None, call: Call) -> str:
    """The provider's name of the operation that it began. Raises ApiError where it names none."""
    body = _body(reply)
    name = body.get("name")
    if isinstance(name, str) and "operations/" in name:
        return name
    raise unreadable(call, _message(body.get("error")))


def video_of(reply: httpx.Response | None, call: Call) -> MadeVideo | None:
    """The video of a poll's reply; None while it is in the making. Raises ApiError where it ended
    otherwise.
    """
    body = _body(reply)
    is_done = str(body.get("done")).lower() == "true"
    is_of_the_video = bool(body.get("name")) or is_done
    error = body.get("error")
    if not is_of_the_video:  # a gateway's own error, say: the video is still to come
        raise unreadable(call, _message(error))
    if error:
        raise _failed(error)
    if not is_done:
        return None
    made = list(_objects(body.get("response")))
    delivered = next((video for each in made for video in _videos(each)), None)
    if delivered:
        return delivered
    reasons = " ".join(in_short(reason) for each in made for reason in _filter_reasons(each))
    if reasons or any(str(each.get("raiMediaFilteredCount")) not in {"0", "None"} for each in made):
        raise ApiError(
            "VideoFiltered",
            f"the API's safety filter withheld it; reword the video prompt. {reasons}".rstrip(),
            Outcome.PERMANENT,
        )
    raise ApiError(
        NOTHING_DELIVERED,
        "the API reports it as done, but delivered neither a video nor a reason.",
        Outcome.LOST,
    )


def _failed(error: object) -> ApiError:
    words = _message(error) or "No reason was given."
    status = str(error.get("status")) if isinstance(error, dict) else ""
    if _TRANSIENT_CODES & {_number_of(error), status}:
        return ApiError(
            VIDEO_NOT_MADE, f"the API failed to make it for now: {words}", Outcome.NOT_MADE
        )
    return ApiError("VideoFailed", f"the API failed to make it: {words}", Outcome.PERMANENT)


def _number_of(error: object) -> str:
    return str(error.get("code")) if isinstance(error, dict) else ""


def _message(error: object) -> str:
    """The words of an error, in whatever shape."""
    return in_short(str((error.get("message") if isinstance(error, dict) else error) or ""))


def _body(reply: httpx.Response | None) -> _Json:
    """Of a reply that was read. Raises ValueError where it is no JSON."""
    body = reply.json() if reply is not None else {}
    return body if isinstance(body, dict) else {}


def _dict(node: _Json, name: str) -> _Json:
    found = node.get(name)
    return found if isinstance(found, dict) else {}


def _dicts(nodes: object) -> Sequence[_Json]:
    return [each for each in nodes if isinstance(each, dict)] if isinstance(nodes, list) else []


def _objects(node: object) -> Iterator[_Json]:
    """All objects in JSON, from the outermost inwards."""
    if isinstance(node, dict):
        yield node
    if isinstance(node, dict | list):
        for each in node.values() if isinstance(node, dict) else node:
            yield from _objects(each)


def _videos(made: _Json) -> Iterator[MadeVideo]:
    """What an object delivers, under the names that the versions of the API have for it."""
    for name in ("uri", "videoUri", "downloadUri"):
        if isinstance(made.get(name), str) and made[name].startswith(("https://", "http://")):
            yield MadeVideo(uri=made[name])
    for name in ("encodedVideo", "bytesBase64Encoded", "videoBytes"):
        data = _decoded(made.get(name))
        if data:
            yield MadeVideo(data=data)


def _filter_reasons(made: _Json) -> Iterator[str]:
    reasons = made.get("raiMediaFilteredReasons") or []
    yield from map(str, reasons if isinstance(reasons, list) else [reasons])


def _decoded(text: object) -> bytes | None:
    """Base64 in either alphabet, padded or not, in one line or many."""
    if not isinstance(text, str):
        return None
    plain = re.sub(r"[\s=]", "", text).translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        return None

"""What a reply that the provider calls a success really holds: an image, a video, or neither."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from google.genai import types

from workflows.api_errors import ApiError, Call, Outcome, in_short, unreadable
from workflows.artifacts import image_type, suffix_of
from workflows.models import VIDEO_NOT_MADE

_FEWEST_IMAGE_TOKENS = 258
"""The least that any Gemini model counts for an image (the provider's guide on tokens, 2026-09)."""

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


def image_of(
    reply: types.GenerateContentResponse, came: httpx.Response | None, call: Call
) -> Image:
    """The image of a reply. Raises ApiError: what came in its place, and what that may cost.

    `came` is what the client read it from, and holds what the client drops.
    """
    parts = _parts(reply)
    found = _final_image(parts)
    if found:
        return found
    feedback, reasons = reply.prompt_feedback, _reasons(reply)
    blocked = feedback.block_reason.value if feedback and feedback.block_reason else ""
    if not feedback and reply.candidates is None and not reply.usage_metadata:
        raise unreadable(call)
    said = _said(reply, parts, _body(came))
    if _may_be_billed(reply, parts):
        raise ApiError(
            "NoUsableImage",
            f"the API may have billed the image and gave none that can be used{said}",
            Outcome.AMBIGUOUS,
        )
    if blocked and blocked != "BLOCK_REASON_UNSPECIFIED":
        raise ApiError(
            "Blocked",
            f"the character prompt was blocked ({blocked}); reword it{said}",
            Outcome.PERMANENT,
        )
    if _only_slipped(reasons, parts):
        raise ApiError(
            "NoImage", f"the API made no image and gave no lasting reason{said}", Outcome.RETRYABLE
        )
    raise ApiError(
        "NoImage", f"the API made no image; reword the character prompt{said}", Outcome.PERMANENT
    )


def _parts(reply: types.GenerateContentResponse) -> Sequence[types.Part]:
    return tuple(
        part
        for candidate in reply.candidates or ()
        for part in (candidate.content.parts if candidate.content else None) or ()
    )


def _final_image(parts: Sequence[types.Part]) -> Image | None:
    """The last one that is no draft of the model's thoughts; where there are drafts only, the last
    of these.
    """
    images = [(part, _image_in(part)) for part in parts]
    final = [image for part, image in images if image and not part.thought]
    drafts = [image for part, image in images if image and part.thought]
    found = final or drafts
    return found[-1] if found else None


def _image_in(part: types.Part) -> Image | None:
    blob = part.inline_data
    kind = image_type(blob.mime_type or "", blob.data or b"") if blob else None
    return Image(blob.data, kind) if blob and blob.data and kind else None


def _reasons(reply: types.GenerateContentResponse) -> Sequence[str]:
    return tuple(c.finish_reason.value for c in reply.candidates or () if c.finish_reason)


def _may_be_billed(reply: types.GenerateContentResponse, parts: Sequence[types.Part]) -> bool:
    """Whether something that is no text was made: it came unusable, or it was counted."""
    if "MAX_TOKENS" in _reasons(reply) or any(p.inline_data or p.file_data for p in parts):
        return True
    usage = reply.usage_metadata
    if usage is None:
        return False
    if usage.candidates_tokens_details:
        return any(
            count.token_count and count.modality is types.MediaModality.IMAGE
            for count in usage.candidates_tokens_details
        )
    # Without a breakdown: a token of text is a character at the least.
    text = sum(len(part.text or "") for part in parts)
    return (usage.candidates_token_count or 0) - text >= _FEWEST_IMAGE_TOKENS


def _only_slipped(reasons: Sequence[str], parts: Sequence[types.Part]) -> bool:
    has_words = any(part.text and not part.thought for part in parts)
    return not has_words and all(reason in _TRANSIENT_REASONS for reason in reasons)


def _said(
    reply: types.GenerateContentResponse, parts: Sequence[types.Part], body: Mapping[str, Any]
) -> str:
    """The reasons and the words of the provider and of the model, as the end of a sentence."""
    feedback = reply.prompt_feedback
    finished = (each.get("finishMessage") for each in _objects(body.get("candidates")))
    words = [
        ", ".join(_reasons(reply)),
        (feedback.block_reason_message or "") if feedback else "",
        *(message for message in finished if isinstance(message, str)),
        " ".join(part.text for part in parts if part.text and not part.thought),
    ]
    told = " ".join(filter(None, map(in_short, words)))
    return f": {told}" if told else " (no reason given)."


def name_of(body: object) -> str | None:
    """The provider's name of an operation in a reply of any status; None where there is none."""
    name = body.get("name") if isinstance(body, dict) else None
    return name if isinstance(name, str) and "/operations/" in name else None


def video_of(reply: httpx.Response | None, call: Call) -> MadeVideo | None:
    """The video of a poll's reply; None while it is in the making. Raises ApiError where it ended
    otherwise, ValueError where the reply is no JSON.

    It reads the reply itself: the client knows one shape of several, and drops the rest.
    """
    body = _body(reply)
    error = body.get("error")
    if error:
        raise _failed(error if isinstance(error, dict) else {"message": error}, body, call)
    if str(body.get("done")).lower() != "true":
        if not body.get("name"):
            raise unreadable(call)
        return None
    made = list(_objects(body.get("response")))
    delivered = next((video for each in made for video in _videos(each)), None)
    if delivered:
        return delivered
    reasons = " ".join(in_short(reason) for each in made for reason in _filter_reasons(each))
    if reasons or any(str(each.get(_FILTERED, 0)) not in {"0", "None"} for each in made):
        raise ApiError(
            "VideoFiltered",
            f"the API's safety filter withheld it; reword the video prompt. {reasons}".rstrip(),
            Outcome.PERMANENT,
        )
    raise ApiError(
        "NothingDelivered",
        "the API says that it is done, and delivered neither a video nor a reason.",
        Outcome.LOST,
    )


_FILTERED = "raiMediaFilteredCount"


def _failed(error: dict[str, Any], body: Mapping[str, Any], call: Call) -> ApiError:
    code, words = str(error.get("code")), in_short(str(error.get("message") or ""))
    if not body.get("name") and len(code) == len("503"):  # it is of the call, not of the video
        return unreadable(call, words)
    words = words or "No reason was given."
    if _TRANSIENT_CODES & {code, str(error.get("status"))}:
        return ApiError(
            VIDEO_NOT_MADE, f"the API failed to make it for now: {words}", Outcome.NOT_MADE
        )
    return ApiError("VideoFailed", f"the API failed to make it: {words}", Outcome.PERMANENT)


def _body(reply: httpx.Response | None) -> dict[str, Any]:
    """Of a reply that was read. Raises ValueError where it is no JSON."""
    body = reply.json() if reply is not None else {}
    return body if isinstance(body, dict) else {}


def _objects(node: object) -> Iterator[dict[str, Any]]:
    """All objects in JSON, from the outermost inwards."""
    if isinstance(node, dict):
        yield node
    if isinstance(node, dict | list):
        for each in node.values() if isinstance(node, dict) else node:
            yield from _objects(each)


def _videos(made: Mapping[str, Any]) -> Iterator[MadeVideo]:
    """What an object delivers, under the names that the versions of the API have for it."""
    for name in ("uri", "videoUri", "downloadUri"):
        if isinstance(made.get(name), str) and made[name].startswith(("https://", "http://")):
            yield MadeVideo(uri=made[name])
    for name in ("encodedVideo", "bytesBase64Encoded", "videoBytes"):
        data = _decoded(made.get(name))
        if data:
            yield MadeVideo(data=data)


def _filter_reasons(made: Mapping[str, Any]) -> Iterator[str]:
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

"""What a reply that the provider calls a success really holds: an image, a video, or neither."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
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

_TRANSIENT_CODES = frozenset({8, 13, 14})
"""Of an operation's error: overloaded, internal, unavailable. Not charged, by the provider's own
words, and the same request works later.
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


def image_of(reply: types.GenerateContentResponse, call: Call) -> Image:
    """The image of a reply. Raises ApiError: what came in its place, and what that may cost."""
    parts = _parts(reply)
    found = _final_image(parts)
    if found:
        return found
    feedback, reasons = reply.prompt_feedback, _reasons(reply)
    blocked = feedback.block_reason.value if feedback and feedback.block_reason else ""
    if not feedback and reply.candidates is None and not reply.usage_metadata:
        raise unreadable(call)
    said = _said(reply, parts)
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


def _said(reply: types.GenerateContentResponse, parts: Sequence[types.Part]) -> str:
    """The reasons and the words of the provider and of the model, as the end of a sentence."""
    feedback = reply.prompt_feedback
    words = [
        ", ".join(_reasons(reply)),
        (feedback.block_reason_message or "") if feedback else "",
        *(candidate.finish_message or "" for candidate in reply.candidates or ()),
        " ".join(part.text for part in parts if part.text and not part.thought),
    ]
    told = " ".join(filter(None, map(in_short, words)))
    return f": {told}" if told else " (no reason given)."


def name_of(body: object) -> str | None:
    """The provider's name of an operation in a reply of any status; None where there is none."""
    name = body.get("name") if isinstance(body, dict) else None
    return name if isinstance(name, str) and "/operations/" in name else None


def video_of(
    operation: types.GenerateVideosOperation, reply: httpx.Response | None, call: Call
) -> MadeVideo | None:
    """The video of an operation; None while it is in the making. Raises ApiError where it ended
    otherwise. `reply` is what the client read it from, and may hold what the client drops.
    """
    if operation.error:
        raise _failed(operation.error)
    if not operation.done:
        if not operation.name:
            raise unreadable(call)
        return None
    made = operation.response
    delivered = next(_deliveries(_body(reply).get("response")), None)
    if delivered:
        return delivered
    reasons = " ".join(map(in_short, (made and made.rai_media_filtered_reasons) or ()))
    if reasons or (made and made.rai_media_filtered_count):
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


def _failed(error: dict[str, Any]) -> ApiError:
    words = in_short(str(error.get("message") or "")) or "No reason was given."
    if error.get("code") in _TRANSIENT_CODES:
        return ApiError(
            VIDEO_NOT_MADE, f"the API failed to make it for now: {words}", Outcome.NOT_MADE
        )
    return ApiError("VideoFailed", f"the API failed to make it: {words}", Outcome.PERMANENT)


def _body(reply: httpx.Response | None) -> dict[str, Any]:
    """Of a reply that the client has read already, so that it is JSON."""
    body = reply.json() if reply is not None else {}
    return body if isinstance(body, dict) else {}


def _deliveries(node: object) -> Iterator[MadeVideo]:
    """All videos in a reply, in whatever shape the versions of the API give them."""
    if isinstance(node, list):
        for each in node:
            yield from _deliveries(each)
    if not isinstance(node, dict):
        return
    for name in ("uri", "videoUri", "downloadUri"):
        if isinstance(node.get(name), str) and node[name].startswith(("https://", "http://")):
            yield MadeVideo(uri=node[name])
    for name in ("encodedVideo", "bytesBase64Encoded", "videoBytes"):
        data = _decoded(node.get(name))
        if data:
            yield MadeVideo(data=data)
    for each in node.values():
        yield from _deliveries(each)


def _decoded(text: object) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else None
    except binascii.Error:
        return None

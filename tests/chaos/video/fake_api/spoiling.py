"""What becomes of a reply under a planned fault."""

import json
from collections.abc import Callable

from pydantic import JsonValue

from tests.chaos.video.fake_api.api_request import ApiRequest
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.media import make_draft, padded_video, sha256_hex
from tests.chaos.video.fake_api.replies import (
    JSON,
    Delivery,
    Reply,
    error_reply,
    filtered_image,
    image_part,
    json_reply,
)
from tests.chaos.video.fake_api.rules import NAME, FaultKind, FaultRule

_JUNK = {
    FaultKind.MALFORMED: (JSON, b'{"name": "models/'),
    FaultKind.EMPTY: (JSON, b""),
    FaultKind.HTML: (
        "text/html",
        b"<!DOCTYPE html><title>Error</title><p>The server is taking a break.</p>",
    ),
}
_BROKEN = {
    FaultKind.HANG: Delivery.HANG,
    FaultKind.RESET: Delivery.RESET,
    FaultKind.TRUNCATED: Delivery.TRUNCATED,
}


def spoil(reply: Reply, rule: FaultRule, request: ApiRequest) -> Reply:
    """What becomes of the `reply` to `request` under `rule`.

    The kinds that change no reply leave it as it is.
    """
    kind = rule.kind
    if kind in _JUNK:
        media_type, body = _JUNK[kind]
        return Reply(kind=kind.value, body=body, media_type=media_type)
    if kind in _BROKEN:
        broken = {"kind": kind.value, "delivery": _BROKEN[kind], "sha256": None}
        return reply.model_copy(update=broken)
    makers: dict[FaultKind, Callable[[], Reply]] = {
        FaultKind.STATUS: lambda: _status(rule, request),
        FaultKind.REDIRECT: lambda: _redirect(request),
        FaultKind.RAI_FILTERED: lambda: filtered_image(request.prompt or ""),
        FaultKind.DRAFTS: lambda: _with_drafts(reply),
        FaultKind.LARGE: lambda: _large(reply, rule.size_bytes),
    }
    return makers[kind]() if kind in makers else reply


def _with_drafts(reply: Reply) -> Reply:
    """The image comes behind a thought and a draft of it, which are marked as thoughts."""
    content = json.loads(reply.body)
    parts = content["candidates"][0]["content"]["parts"]
    parts[:0] = [
        {"text": "A draft, to see whether it fits.", "thought": True},
        {**image_part(make_draft(reply.sha256 or "")), "thought": True},
    ]
    update = {"kind": FaultKind.DRAFTS.value, "body": json.dumps(content).encode()}
    return reply.model_copy(update=update)


def _redirect(request: ApiRequest) -> Reply:
    """A client that follows it repeats the request; one that pays does so with its body."""
    paid = request.call in {Call.IMAGE, Call.VIDEO_START}
    content = {"message": "It is elsewhere."}
    reply = json_reply(content, kind=FaultKind.REDIRECT.value, status=307 if paid else 302)
    return reply.model_copy(update={"headers": {"location": request.elsewhere}})


def _large(reply: Reply, size_bytes: int) -> Reply:
    """A video has so much more in it; JSON, and so an image, is followed by so many blanks."""
    if reply.media_type == JSON:
        body, sha256 = reply.body + b" " * size_bytes, reply.sha256
    else:
        body = padded_video(reply.body, size_bytes)
        sha256 = sha256_hex(body)
    update = {"kind": FaultKind.LARGE.value, "body": body, "sha256": sha256}
    return reply.model_copy(update=update)


def _status(rule: FaultRule, request: ApiRequest) -> Reply:
    if rule.body is not None:
        reply = Reply(status=rule.status, body=_body(rule, request.operation))
    elif rule.status < 400:
        reply = Reply(status=rule.status)
    else:
        reply = _planned_error(rule)
    return reply.model_copy(update={"kind": rule.kind.value, "headers": rule.headers})


def _body(rule: FaultRule, operation: str | None) -> bytes:
    text = str(rule.body) if rule.raw else json.dumps(rule.body, ensure_ascii=False)
    if operation is not None:
        text = text.replace(NAME, operation if rule.raw else json.dumps(operation)[1:-1])
    return text.encode()


def _planned_error(rule: FaultRule) -> Reply:
    details: tuple[JsonValue, ...] = ()
    if rule.retry_delay_seconds is not None:
        delay = f"{rule.retry_delay_seconds:.9f}".rstrip("0").rstrip(".") + "s"
        details = ({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},)
    message = "This error was planned by a fault rule."
    return error_reply(rule.status, message, kind=rule.kind.value, details=details)

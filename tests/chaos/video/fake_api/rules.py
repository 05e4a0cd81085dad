"""Planned faults: which request is hit, at which point of its way, and how."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator

from tests.chaos.video.fake_api.bills import Call

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
HeaderName = Annotated[
    str, StringConstraints(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", to_lower=True)
]
HeaderValue = Annotated[str, StringConstraints(pattern=r"^([!-~]([ -~]*[!-~])?)?$")]

MOST_BYTES = 1 << 28
"""The largest reply: it is held in memory here as well."""
NAME = "$NAME"
"""Stands in a rule's body for the name of the operation that the request is about."""


class FaultKind(StrEnum):
    """What happens to a request that a rule hits; `IN_A_LINE` says what each is.

    The ends of videos (`failed_operation`, `undelivered`, `expired`, `inline`, `rai_filtered`) are
    planned at the video's start; a failed or filtered one costs nothing.
    """

    STATUS = "status"
    DELAY = "delay"
    HANG = "hang"
    RESET = "reset"
    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    EMPTY = "empty"
    HTML = "html"
    RAI_FILTERED = "rai_filtered"
    FAILED_OPERATION = "failed_operation"
    UNDELIVERED = "undelivered"
    EXPIRED = "expired"
    INLINE = "inline"
    DRAFTS = "drafts"
    LARGE = "large"
    REDIRECT = "redirect"


IN_A_LINE = {
    FaultKind.DELAY: "the reply comes later, and is as good",
    FaultKind.STATUS: "a reply of any status, headers and body",
    FaultKind.HANG: "no answer until the client leaves",
    FaultKind.RESET: "the connection is reset without an answer",
    FaultKind.TRUNCATED: "half of the true body, then a regular close",
    FaultKind.MALFORMED: "200 and a JSON body that cannot be read",
    FaultKind.EMPTY: "200 without a body",
    FaultKind.HTML: "200 and a web page",
    FaultKind.RAI_FILTERED: "the safety filter withholds the result",
    FaultKind.FAILED_OPERATION: "the video's operation will end in an error",
    FaultKind.LARGE: "the true reply, and size_bytes more that carry nothing",
    FaultKind.UNDELIVERED: "the video is billed and done, without a video or an error",
    FaultKind.EXPIRED: "the video is billed, and not found any more once it is done",
    FaultKind.INLINE: "the reply to a poll carries the video itself",
    FaultKind.DRAFTS: "the true image comes last, after a thought and a draft that say so",
    FaultKind.REDIRECT: "302, or 307 for a paid call, to another host, which must not get the key",
}
"""Each kind, for `python -m chaos list`."""


class When(StrEnum):
    """The two points of a request's way: before the work, or when it is done and billed."""

    BEFORE_BILLING = "before_billing"
    AFTER_BILLING = "after_billing"


class FaultRule(BaseModel):
    """One planned fault.

    It hits requests of `call` whose prompt contains `match` (for a poll or download: the prompt
    of its video) and, where a `model` is named, that ask it of that one. It passes the first `skip`
    of them by, and hits `times` of them (None: all).

    To the kind `status` belong `status`, `headers`, `body` and `retry_delay_seconds`.
    A `body` of None stands for Google's own error of that status, and for nothing at all below
    400. It is sent as JSON, but a text with a content-type that is not JSON as it stands. `$NAME`
    in it stands for the name of the operation, where the request has one.

    `delay_seconds` belongs to `delay`, `size_bytes` to `large`, and to `failed_operation` the
    `code` of its error: 3 is the prompt's fault, 8, 13 and 14 are the provider's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    call: Call
    kind: FaultKind
    when: When = When.BEFORE_BILLING
    match: str = ""
    model: str | None = None
    skip: Annotated[int, Field(ge=0)] = 0
    times: Annotated[int, Field(ge=1)] | None = 1
    status: Annotated[int, Field(ge=200, le=599)] = 503
    headers: dict[HeaderName, HeaderValue] = {}
    body: JsonValue = None
    encoding: Literal["utf-8"] = "utf-8"  # it stands in the schedules of older runs
    retry_delay_seconds: Seconds | None = None
    delay_seconds: Seconds = 0
    size_bytes: Annotated[int, Field(ge=0, le=MOST_BYTES)] = 0
    code: Literal[3, 8, 13, 14] = 13

    @property
    def raw(self) -> bool:
        """Whether the body is a text that is sent as it stands."""
        return isinstance(self.body, str) and "json" not in self.headers.get("content-type", "json")

    @model_validator(mode="after")
    def _can_happen(self) -> Self:
        problem = _misplaced_setting(self) or _impossible_reply(self) or _impossible_point(self)
        if problem is not None:
            raise ValueError(problem)
        return self


_OWNERS = {
    "status": FaultKind.STATUS,
    "headers": FaultKind.STATUS,
    "body": FaultKind.STATUS,
    "retry_delay_seconds": FaultKind.STATUS,
    "delay_seconds": FaultKind.DELAY,
    "size_bytes": FaultKind.LARGE,
    "code": FaultKind.FAILED_OPERATION,
}
"""The settings that belong to one kind only."""
_NEEDED = ("delay_seconds", "size_bytes")
_OF_THE_CONNECTION = {"connection", "content-length", "transfer-encoding"}
_BODILESS = {204, 304}
_ENDS_OF_VIDEOS = {
    FaultKind.RAI_FILTERED,
    FaultKind.FAILED_OPERATION,
    FaultKind.UNDELIVERED,
    FaultKind.EXPIRED,
    FaultKind.INLINE,
}
_CALLS = dict.fromkeys(_ENDS_OF_VIDEOS, (Call.VIDEO_START,)) | {
    FaultKind.RAI_FILTERED: (Call.IMAGE, Call.VIDEO_START),
    FaultKind.DRAFTS: (Call.IMAGE,),
}
"""The calls that a kind can happen to; one that is not here can happen to all."""


def _misplaced_setting(rule: FaultRule) -> str | None:
    for name, owner in _OWNERS.items():
        given = getattr(rule, name) != FaultRule.model_fields[name].default
        if given and rule.kind is not owner:
            return f"{name} belongs to the kind {owner} only."
        if not given and rule.kind is owner and name in _NEEDED:
            return f"The kind {owner} needs {name} above 0."
    return None


def _impossible_reply(rule: FaultRule) -> str | None:
    if rule.body is not None and rule.retry_delay_seconds is not None:
        return "retry_delay_seconds goes into Google's own error: leave body out, or put it there."
    if rule.retry_delay_seconds is not None and rule.status < 400:
        return "retry_delay_seconds goes into Google's own error: use a status from 400 on."
    if rule.body is not None and rule.status in _BODILESS:
        return f"A reply of status {rule.status} has no body."
    if not _OF_THE_CONNECTION.isdisjoint(rule.headers):
        return f"Leave these headers to the connection: {', '.join(sorted(_OF_THE_CONNECTION))}."
    return None


def _impossible_point(rule: FaultRule) -> str | None:
    calls = _CALLS.get(rule.kind, tuple(Call))
    if rule.call not in calls:
        return f"The kind {rule.kind} can happen to {' or '.join(calls)} only."
    late = rule.when is When.AFTER_BILLING
    if rule.kind in {FaultKind.LARGE, FaultKind.DRAFTS} and not late:
        return f"The kind {rule.kind} adds to a reply that is there: use after_billing."
    if rule.kind is FaultKind.REDIRECT and late:
        return "A redirect comes instead of the work: use before_billing."
    if rule.kind in _ENDS_OF_VIDEOS and rule.call is Call.VIDEO_START and late:
        return "How a video ends decides its bill: use before_billing."
    return None

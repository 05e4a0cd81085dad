"""Planned faults: which request is hit, at which point of its way, and how."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from chaos.fake_api.ledger import Call

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]

MOST_BYTES = 1 << 28
"""The largest reply: it is held in memory here as well."""


class FaultKind(StrEnum):
    """What happens to a request that a rule hits.

    delay: it takes longer and then goes on as usual. status: an error status with a JSON body.
    hang: no answer until the client leaves. reset: the connection is reset without an answer.
    reset_body, truncated: status line, headers and half of the true body, then a reset or a
    regular close. malformed: 200 and a JSON body that is none. empty: 200 without a body.
    html: 200 and a web page. rai_filtered: the safety filter keeps the result back.
    failed_operation: the video's operation will end in an error. large: the true reply, and
    `size_bytes` more that carry nothing.
    """

    STATUS = "status"
    DELAY = "delay"
    HANG = "hang"
    RESET = "reset"
    RESET_BODY = "reset_body"
    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    EMPTY = "empty"
    HTML = "html"
    RAI_FILTERED = "rai_filtered"
    FAILED_OPERATION = "failed_operation"
    LARGE = "large"


class When(StrEnum):
    """The two points of a request's way: before the work, or when it is done and billed."""

    BEFORE_BILLING = "before_billing"
    AFTER_BILLING = "after_billing"


class FaultRule(BaseModel):
    """One planned fault.

    It hits requests of `call` whose prompt contains `match` (for a poll or download: the prompt
    of its video) and, where a `model` is named, that ask it of that one. It passes the first `skip`
    of them by, and hits `times` of them (None: all).
    `status`, `body` and `retry_delay_seconds` belong to the kind `status`, where `body` None
    stands for Google's own error of that status; `delay_seconds` belongs to `delay`, and
    `size_bytes` to `large`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    call: Call
    kind: FaultKind
    when: When = When.BEFORE_BILLING
    match: str = ""
    model: str | None = None
    skip: Annotated[int, Field(ge=0)] = 0
    times: Annotated[int, Field(ge=1)] | None = 1
    status: Annotated[int, Field(ge=400, le=599)] = 503
    body: dict[str, JsonValue] | None = None
    retry_delay_seconds: Seconds | None = None
    delay_seconds: Seconds = 0
    size_bytes: Annotated[int, Field(ge=0, le=MOST_BYTES)] = 0

    @model_validator(mode="after")
    def _can_happen(self) -> Self:
        problem = _misplaced_setting(self) or _impossible_point(self)
        if problem is not None:
            raise ValueError(problem)
        return self


def _misplaced_setting(rule: FaultRule) -> str | None:
    of_status = rule.status != 503 or rule.body is not None or rule.retry_delay_seconds is not None
    if rule.kind is not FaultKind.STATUS and of_status:
        return "status, body and retry_delay_seconds belong to the kind status only."
    if rule.body is not None and rule.retry_delay_seconds is not None:
        return "retry_delay_seconds goes into Google's own error: leave body out, or put it there."
    if (rule.kind is FaultKind.DELAY) != (rule.delay_seconds > 0):
        return "The kind delay, and no other, needs delay_seconds above 0."
    if (rule.kind is FaultKind.LARGE) != (rule.size_bytes > 0):
        return "The kind large, and no other, needs size_bytes above 0."
    return None


def _impossible_point(rule: FaultRule) -> str | None:
    if rule.kind is FaultKind.FAILED_OPERATION and rule.call is not Call.VIDEO_START:
        return "Only a video_start can lead to a failed_operation."
    if rule.kind is FaultKind.RAI_FILTERED and rule.call not in {Call.IMAGE, Call.VIDEO_START}:
        return "Only an image or a video_start can be rai_filtered."
    decides_bill = rule.kind in {FaultKind.FAILED_OPERATION, FaultKind.RAI_FILTERED}
    late = rule.when is When.AFTER_BILLING
    if rule.kind is FaultKind.LARGE and not late:
        return "A reply is large once it is there: use after_billing."
    if decides_bill and rule.call is Call.VIDEO_START and late:
        return "How a video ends decides its bill: use before_billing."
    return None

"""What a call that failed means: for the money, for another try, and for whoever reads it.

Nothing of the client's own leaves this module: its errors carry the API key in their request
headers, so each is replaced by an `ApiError`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import httpx

from workflows.error_replies import ErrorReply, in_short
from workflows.models import KEY_REFUSED
from workflows.transport import Exchange

DAILY_QUOTA_RETURNS_AT_HOUR = 8
"""UTC. Daily quotas come back at midnight Pacific time, which is 7 or 8 o'clock (the provider's
page on rate limits, read 2026-09).
"""


class Outcome(StrEnum):
    """What is known of a call that failed."""

    PERMANENT = "permanent"
    """Refused for a reason that another try does not change; nothing was billed."""
    RETRYABLE = "retryable"
    """Not accepted, not billed, or free to send again."""
    IN_DOUBT = "in_doubt"
    """A paid call that may have been billed although no usable reply came."""
    NOT_MADE = "not_made"
    """The provider began a video, failed, and charges nothing: start it again."""
    LOST = "lost"
    """A video that may have been billed, and can be fetched no more."""


class ApiError(Exception):
    """A failed call, in our own words and without the key.

    `code` is a stable name for programs; `retry_after_seconds` is the provider's own wish.
    """

    def __init__(
        self, code: str, message: str, outcome: Outcome, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.outcome = outcome
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True)
class Call:
    """One call as its errors name it: `image`, `video`, `poll` or `download`."""

    name: str
    deadline_seconds: float
    paid: bool

    @property
    def unclear(self) -> Outcome:
        """What it means that nobody knows how it ended."""
        return Outcome.IN_DOUBT if self.paid else Outcome.RETRYABLE


def classify(error: Exception, call: Call, exchange: Exchange) -> ApiError:
    """What an error of the client means."""
    response = exchange.response
    if response is not None and response.status_code != httpx.codes.OK:
        return _by_status(ErrorReply.of(response), call)
    if isinstance(error, httpx.ProxyError):
        return _by_proxy(in_short(str(error)), call)
    if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
        return ApiError(
            "InvalidRequest",
            f"the {call.name} call has no address; check GOOGLE_GEMINI_BASE_URL.",
            Outcome.PERMANENT,
        )
    unreachable = httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout
    if isinstance(error, unreachable) or (
        exchange.surely_unsent and isinstance(error, TimeoutError | httpx.TransportError)
    ):
        return ApiError(
            "Unreachable",
            f"the {call.name} call could not reach the API ({type(error).__name__}); "
            "check the network and GOOGLE_GEMINI_BASE_URL.",
            Outcome.RETRYABLE,
        )
    return _by_kind(error, call, exchange)


def _by_kind(error: Exception, call: Call, exchange: Exchange) -> ApiError:
    """Of what happened after the request had left, or before the client would send it."""
    match error:
        case TimeoutError() | httpx.TimeoutException():
            within = f"{call.deadline_seconds:g} s"
            return ApiError(
                "NoReply", f"the {call.name} call had no reply within {within}.", call.unclear
            )
        case httpx.DecodingError():
            return unreadable(call)
        case httpx.HTTPError():
            return ApiError(
                "ConnectionLost",
                f"the connection broke during the {call.name} call ({type(error).__name__}).",
                call.unclear,
            )
        # JSON and pydantic errors are ValueErrors, and so is what the client refuses to send.
        case ValueError() if type(error) is ValueError and exchange.response is None:
            return ApiError(
                "InvalidRequest",
                f"the {call.name} call was refused by the client before it was sent; "
                "check the prompt and the settings.",
                Outcome.PERMANENT,
            )
        case _:
            return unreadable(call)


def unreadable(call: Call, words: str = "") -> ApiError:
    """A reply that tells nothing, or not how the call ended."""
    return ApiError(
        "UnreadableReply",
        f"the reply to the {call.name} call was empty or could not be read. {words}".rstrip(),
        call.unclear,
    )


def _by_proxy(words: str, call: Call) -> ApiError:
    """A proxy that would not open the way: the request itself never left."""
    refused = words.startswith("4")
    return ApiError(
        "ProxyRefused" if refused else "Unreachable",
        f"the proxy did not let the {call.name} call through ({words.rstrip('.')}), so nothing was "
        "sent; check HTTPS_PROXY and its user and password.",
        Outcome.PERMANENT if refused else Outcome.RETRYABLE,
    )


def _by_status(reply: ErrorReply, call: Call) -> ApiError:
    status = reply.http_status
    if status < 400:
        return _without_answer(reply, call)
    if status in {425, 429, 503}:
        return _unavailable(reply, call)
    # A gateway that does not know the way says nothing of the video that was asked for.
    is_lost_on_the_way = call.name == "poll" and status in {400, 404, 410} and not reply.in_json
    if status >= 500 or status in {408, 409, 499} or is_lost_on_the_way:
        failed = f"the {call.name} call failed (HTTP {status}): {reply.words}"
        return ApiError("ServerError", failed, call.unclear)
    if status in {401, 403, 407} or reply.is_about_the_key:
        return _denied(reply, call)
    if status in {404, 410}:
        return _gone(reply, call)
    return _refused(reply, call)


def _refused(reply: ErrorReply, call: Call) -> ApiError:
    status = reply.http_status
    refused = f"the API refused the {call.name} call (HTTP {status}): {reply.words}"
    if not call.paid and status == 400 and reply.status != "FAILED_PRECONDITION":
        return ApiError("CannotBeFetched", refused, Outcome.LOST)
    return ApiError("RequestRefused", refused, Outcome.PERMANENT)


def _without_answer(reply: ErrorReply, call: Call) -> ApiError:
    status = reply.http_status
    if status < 300:
        return ApiError(
            "NoResult",
            f"the API accepted the {call.name} call (HTTP {status}) and returned no result. "
            f"{reply.words}",
            call.unclear,
        )
    # 302 and 303 may point to what the request has led to already.
    is_refused = call.paid and status not in {302, 303}
    ends = "which is not followed" if call.paid else "which leads nowhere"
    return ApiError(
        "Redirected",
        f"the address redirects the {call.name} call (HTTP {status}), {ends}; "
        "check GOOGLE_GEMINI_BASE_URL and the proxy.",
        Outcome.PERMANENT if is_refused else call.unclear,
    )


def _unavailable(reply: ErrorReply, call: Call) -> ApiError:
    not_taken = (
        f"the API did not accept the {call.name} call (HTTP {reply.http_status}): {reply.words}"
    )
    if reply.has_no_quota:
        return ApiError(
            "NoQuota",
            f"{not_taken} The project of GEMINI_API_KEY has no quota for this model: enable "
            "billing for it, or choose another model.",
            Outcome.PERMANENT,
        )
    if reply.is_daily:
        back = _next_day_of_quotas(datetime.now(UTC))
        return ApiError(
            "QuotaUsedUp",
            f"{not_taken} The day's quota is used up; it is renewed by {back:%Y-%m-%d %H:%M} UTC.",
            Outcome.RETRYABLE,
            (back - datetime.now(UTC)).total_seconds(),
        )
    return ApiError("Unavailable", not_taken, Outcome.RETRYABLE, reply.retry_after_seconds)


def _next_day_of_quotas(now: datetime) -> datetime:
    today = now.replace(hour=DAILY_QUOTA_RETURNS_AT_HOUR, minute=0, second=0, microsecond=0)
    return today if now < today else today + timedelta(days=1)


_ADVICE = {
    "SERVICE_DISABLED": "Enable the API in the project of GEMINI_API_KEY.",
    "CONSUMER_SUSPENDED": "GEMINI_API_KEY, or its project, is suspended.",
}


def _denied(reply: ErrorReply, call: Call) -> ApiError:
    status = reply.http_status
    if status == 407:
        return ApiError(
            "ProxyRefused",
            f"the proxy refused the {call.name} call (HTTP 407): {reply.words} "
            "Check HTTPS_PROXY and its user and password.",
            Outcome.PERMANENT,
        )
    refused = f"at the {call.name} call (HTTP {status}): {reply.words}"
    if call.name == "download" and status == 403 and re.search(r"(?i)\bfile\b", reply.message):
        # So the provider speaks of a file of another project, and of one that is gone.
        return ApiError("CannotBeFetched", f"the API refused the file {refused}", Outcome.LOST)
    if status == 403 and reply.reason != "API_KEY_INVALID":
        advice = _ADVICE.get(reply.reason, "")
        return ApiError(
            "AccessDenied",
            f"the API denied access {refused} {advice or 'Check GEMINI_API_KEY and its project.'}",
            Outcome.PERMANENT,
        )
    # Valid keys are refused now and then, and a free call costs nothing but another try.
    outcome = Outcome.PERMANENT if call.paid or status == 401 else Outcome.RETRYABLE
    return ApiError(
        KEY_REFUSED, f"the API refused the key {refused} Check GEMINI_API_KEY.", outcome
    )


def _gone(reply: ErrorReply, call: Call) -> ApiError:
    asked = f"the API does not know what the {call.name} call asked for (HTTP {reply.http_status})"
    if call.paid:
        model = f"GEMINI_{call.name.upper()}_MODEL"
        message = f"{asked}: {reply.words} Check {model}."
        return ApiError("NotFound", message, Outcome.PERMANENT)
    return ApiError(
        "Expired",
        f"{asked}: {reply.words} The provider keeps a video for two days, so it has expired.",
        Outcome.LOST,
    )

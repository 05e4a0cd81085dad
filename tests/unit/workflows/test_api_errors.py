"""What a failed call means: for the money, for another try, and in words."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from workflows.api_errors import (
    DAILY_QUOTA_RETURNS_AT_HOUR,
    ApiError,
    Call,
    Outcome,
    _next_day_of_quotas,
    classify,
    unreadable,
)
from workflows.transport import Exchange

PAID = Call("video", 60, paid=True)
POLL = Call("poll", 30, paid=False)
DOWNLOAD = Call("download", 300, paid=False)


def failed(call: Call, error: Exception, response: httpx.Response | None = None) -> ApiError:
    return classify(error, call, Exchange(lambda: None, departed=True, response=response))


def refused(
    call: Call, http_status: int, message: str = "Its own words.", **more: object
) -> ApiError:
    body = {"error": {"message": message, **more}}
    return failed(call, RuntimeError("the client's"), httpx.Response(http_status, json=body))


# By the status


P, R, D, L = Outcome.PERMANENT, Outcome.RETRYABLE, Outcome.IN_DOUBT, Outcome.LOST


@pytest.mark.parametrize(
    ("status", "code_if_paid", "paid", "code_if_free", "free"),
    [
        (202, "NoResult", D, "NoResult", R),
        (204, "NoResult", D, "NoResult", R),
        (301, "Redirected", P, "Redirected", R),
        (302, "Redirected", D, "Redirected", R),  # it may point to what was made
        (303, "Redirected", D, "Redirected", R),
        (307, "Redirected", P, "Redirected", R),
        (308, "Redirected", P, "Redirected", R),
        (400, "RequestRefused", P, "CannotBeFetched", L),
        (401, "InvalidApiKey", P, "InvalidApiKey", P),
        (403, "AccessDenied", P, "AccessDenied", P),
        (404, "NotFound", P, "Expired", L),
        (407, "ProxyRefused", P, "ProxyRefused", P),
        (408, "ServerError", D, "ServerError", R),
        (409, "ServerError", D, "ServerError", R),
        (410, "NotFound", P, "Expired", L),
        (413, "RequestRefused", P, "RequestRefused", P),
        (425, "Unavailable", R, "Unavailable", R),
        (429, "Unavailable", R, "Unavailable", R),
        (451, "RequestRefused", P, "RequestRefused", P),
        (499, "ServerError", D, "ServerError", R),
        (500, "ServerError", D, "ServerError", R),
        (503, "Unavailable", R, "Unavailable", R),
        (504, "ServerError", D, "ServerError", R),
        (520, "ServerError", D, "ServerError", R),
        (529, "ServerError", D, "ServerError", R),
    ],
)
def test_a_status_means_what_it_may_have_cost(
    status: int, code_if_paid: str, paid: Outcome, code_if_free: str, free: Outcome
) -> None:
    errors = [refused(call, status) for call in (PAID, POLL, DOWNLOAD)]
    assert [(error.code, error.outcome) for error in errors] == [
        (code_if_paid, paid),
        (code_if_free, free),
        (code_if_free, free),
    ]


@pytest.mark.parametrize("status", [204, 400, 401, 403, 404, 407, 409, 413, 429, 500, 503])
@pytest.mark.parametrize("call", [PAID, POLL, DOWNLOAD], ids=lambda call: call.name)
def test_the_words_of_the_provider_are_told(call: Call, status: int) -> None:
    error = refused(call, status)
    assert "Its own words." in str(error)
    assert f"the {call.name} call" in str(error)


@pytest.mark.parametrize("call", [POLL, DOWNLOAD], ids=lambda call: call.name)
def test_what_has_expired_is_told_as_such(call: Call) -> None:
    error = refused(call, 404)
    assert "keeps a video for two days, so it has expired" in str(error)
    assert "MODEL" not in str(error)


def test_a_model_that_is_unknown_is_named_by_its_setting() -> None:
    assert str(refused(PAID, 404)).endswith("Check GEMINI_VIDEO_MODEL.")


def test_a_precondition_loses_no_video() -> None:
    error = refused(POLL, 400, "User location is not supported.", status="FAILED_PRECONDITION")
    assert error.outcome is Outcome.PERMANENT


@pytest.mark.parametrize("status", [400, 404, 410])
@pytest.mark.parametrize("page", ["default backend - 404", "<html><h1>nginx</h1></html>", ""])
def test_a_gateway_that_does_not_know_the_way_loses_no_video(status: int, page: str) -> None:
    error = failed(POLL, RuntimeError("the client's"), httpx.Response(status, text=page))
    assert (error.code, error.outcome) == ("ServerError", Outcome.RETRYABLE)


@pytest.mark.parametrize("details", [[{"reason": "API_KEY_INVALID"}], []])
def test_a_key_that_is_refused_loses_no_video(details: list[dict[str, str]]) -> None:
    error = refused(POLL, 400, "API key not valid.", details=details)
    assert (error.code, error.outcome) == ("InvalidApiKey", Outcome.RETRYABLE)
    assert refused(PAID, 400, "API key not valid.", details=details).outcome is Outcome.PERMANENT


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("SERVICE_DISABLED", "Enable the API in the project of GEMINI_API_KEY."),
        ("CONSUMER_SUSPENDED", "GEMINI_API_KEY, or its project, is suspended."),
        ("ANOTHER", "Check GEMINI_API_KEY and its project."),
    ],
)
def test_a_denial_says_what_to_do(reason: str, advice: str) -> None:
    error = refused(PAID, 403, details=[{"reason": reason}])
    assert error.code == "AccessDenied"
    assert str(error).endswith(f"Its own words. {advice}")


def test_a_file_of_another_is_lost_and_the_key_is_not_to_blame() -> None:
    error = refused(DOWNLOAD, 403, "You do not have permission to access the File abc.")
    assert (error.code, error.outcome) == ("CannotBeFetched", Outcome.LOST)
    assert "KEY" not in str(error)


def test_a_profile_is_no_file() -> None:
    assert refused(DOWNLOAD, 403, "Your profile has no access.").outcome is Outcome.PERMANENT


# Quotas


def test_a_quota_of_zero_is_permanent_and_asks_for_billing() -> None:
    error = refused(PAID, 429, "Quota exceeded, limit: 0, model: x.")
    assert (error.code, error.outcome) == ("NoQuota", Outcome.PERMANENT)
    assert "enable billing" in str(error)


def test_a_days_quota_is_waited_for_until_it_is_back() -> None:
    violation = {"quotaId": "RequestsPerDay"}
    details: list[object] = [{"violations": [violation]}, {"retryDelay": "27s"}]
    before = datetime.now(UTC)
    error = refused(PAID, 429, details=details)
    assert (error.code, error.outcome) == ("QuotaUsedUp", Outcome.RETRYABLE)
    back = {_next_day_of_quotas(before), _next_day_of_quotas(datetime.now(UTC))}
    assert any(f"it is renewed by {each:%Y-%m-%d %H:%M} UTC" in str(error) for each in back)
    assert error.retry_after_seconds is not None
    ends = [abs((each - before).total_seconds() - error.retry_after_seconds) for each in back]
    assert min(ends) < 30


@pytest.mark.parametrize(
    ("now", "days"),
    [("00:00", 0), ("07:59", 0), ("08:00", 1), ("23:59", 1)],
)
def test_the_day_of_quotas_ends_in_the_morning(now: str, days: int) -> None:
    today = datetime(2026, 12, 31, tzinfo=UTC)
    hour, minute = map(int, now.split(":"))
    ends = today + timedelta(days=days, hours=DAILY_QUOTA_RETURNS_AT_HOUR)
    assert _next_day_of_quotas(today.replace(hour=hour, minute=minute, second=1)) == ends


def test_a_minutes_quota_is_waited_for_as_long_as_is_asked() -> None:
    details = [{"violations": [{"quotaId": "RequestsPerMinute"}]}, {"retryDelay": "27s"}]
    error = refused(PAID, 429, details=details)
    assert (error.code, error.retry_after_seconds) == ("Unavailable", 27)


# Without a reply


UNSENT = [
    httpx.ConnectError("refused"),
    httpx.ConnectTimeout("slow"),
    httpx.PoolTimeout("full"),
]


@pytest.mark.parametrize("error", UNSENT, ids=lambda error: type(error).__name__)
def test_what_never_reached_the_api_costs_nothing(error: Exception) -> None:
    found = failed(PAID, error)
    assert (found.code, found.outcome) == ("Unreachable", Outcome.RETRYABLE)


@pytest.mark.parametrize(
    "error", [TimeoutError(), httpx.ReadError("reset")], ids=lambda error: type(error).__name__
)
@pytest.mark.parametrize("watched", [True, False])
def test_only_what_was_watched_is_surely_unsent(error: Exception, *, watched: bool) -> None:
    found = classify(error, PAID, Exchange(lambda: None, watched=watched))
    assert found.outcome is (Outcome.RETRYABLE if watched else Outcome.IN_DOUBT)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TimeoutError(), "NoReply"),
        (httpx.ReadTimeout("slow"), "NoReply"),
        (httpx.ReadError("reset"), "ConnectionLost"),
        (httpx.RemoteProtocolError("closed"), "ConnectionLost"),
        (httpx.DecodingError("gzip"), "UnreadableReply"),
        (json.JSONDecodeError("no", "", 0), "UnreadableReply"),
        (RuntimeError("anything"), "UnreadableReply"),
    ],
)
def test_what_left_and_has_no_answer_is_unclear(error: Exception, code: str) -> None:
    paid, free = failed(PAID, error), failed(POLL, error)
    assert (paid.code, paid.outcome) == (code, Outcome.IN_DOUBT)
    assert (free.code, free.outcome) == (code, Outcome.RETRYABLE)


@pytest.mark.parametrize(
    ("words", "code", "outcome"),
    [
        ("407 Proxy Authentication Required", "ProxyRefused", Outcome.PERMANENT),
        ("502 Bad Gateway", "Unreachable", Outcome.RETRYABLE),
    ],
)
def test_a_proxy_that_opens_no_way_is_named(words: str, code: str, outcome: Outcome) -> None:
    error = failed(PAID, httpx.ProxyError(words))
    assert (error.code, error.outcome) == (code, outcome)
    assert f"({words}), so nothing was sent" in str(error)


@pytest.mark.parametrize("error", [httpx.UnsupportedProtocol("x"), httpx.InvalidURL("x")])
def test_an_address_that_is_none_is_permanent(error: Exception) -> None:
    found = failed(PAID, error)
    assert (found.code, found.outcome) == ("InvalidRequest", Outcome.PERMANENT)
    assert "GOOGLE_GEMINI_BASE_URL" in str(found)


def test_what_the_client_would_not_send_is_permanent() -> None:
    assert failed(PAID, ValueError("no")).code == "InvalidRequest"


def test_a_value_error_after_a_reply_is_of_the_reply() -> None:
    found = failed(PAID, ValueError("no"), httpx.Response(200))
    assert (found.code, found.outcome) == ("UnreadableReply", Outcome.IN_DOUBT)


def test_a_reply_that_tells_nothing_repeats_what_it_says() -> None:
    assert str(unreadable(POLL, "Slow.")).endswith("was empty or could not be read. Slow.")
    assert str(unreadable(POLL)).endswith("was empty or could not be read.")

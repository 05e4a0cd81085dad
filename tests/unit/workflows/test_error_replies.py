"""An error reply is read as far as it can be, and repeated in few words."""

from __future__ import annotations

import time
from email.utils import formatdate

import httpx
import pytest

from workflows.error_replies import ErrorReply, in_short


def said(body: object, **headers: str) -> ErrorReply:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return ErrorReply.of(httpx.Response(429, json=body, headers=fields))


def failed(message: str = "No.", *details: object) -> ErrorReply:
    return said({"error": {"message": message, "details": list(details)}})


def violated(**violation: object) -> object:
    return {"@type": "google.rpc.QuotaFailure", "violations": [violation]}


# Words


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "Slow down."}}, "Slow down."),
        ([{"error": {"message": "Slow down."}}], "Slow down."),
        ({"message": "Slow down."}, "Slow down."),
        ({"error": "Slow down."}, "Slow down."),
        ("Slow down.", "Slow down."),
        ({"error": {"message": None}}, "No reason was given."),
        ({"error": None}, "No reason was given."),
        ({"error": []}, "No reason was given."),
        ({}, "No reason was given."),
        ([], "No reason was given."),
        (None, "No reason was given."),
        (5, "5."),
    ],
)
def test_the_words_of_a_reply_are_found_in_every_shape(body: object, words: str) -> None:
    assert said(body).words == words


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "No reason was given."),
        (b"<p>Back&nbsp;soon", "Back soon."),
        (b'{"error": ', '{"error":.'),
        ('{"error": {"message": "zu schnell, bitte später"}}'.encode("latin-1"), "sp�ter"),
        (b"[" * 100_000, "…"),
    ],
)
def test_what_is_no_json_is_read_as_text(content: bytes, words: str) -> None:
    assert words in ErrorReply.of(httpx.Response(429, content=content)).words


def test_a_body_that_cannot_be_decoded_says_nothing() -> None:
    response = httpx.Response(
        429, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"oops")
    )
    assert ErrorReply.of(response).words == "No reason was given."


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ""),
        ("Slow down", "Slow down."),
        ("Slow down!", "Slow down!"),
        ("Slow\n\n  down.", "Slow down."),
        ("<html><style>p{}</style><b>Slow</b> down.</html>", "Slow down."),
        ("<SCRIPT>var a = '<b>'</SCRIPT >Slow down.", "Slow down."),
        ("<!-- <b>not</b> this -->Slow down.", "Slow down."),
        ("Slow &amp; down &lt;b&gt;now&lt;/b&gt;.", "Slow & down now ."),
        ("Slow down.<style>and no end", "Slow down."),
        ("1 < 2 and 3 > 2.", "1 < 2 and 3 > 2."),
    ],
)
def test_words_are_short_and_without_html(text: str, words: str) -> None:
    assert in_short(text) == words


def test_long_words_are_cut_between_two() -> None:
    assert in_short("slow " * 100) == f"{'slow ' * 60}".rstrip() + "…"


def test_no_part_of_a_word_is_left_where_words_are_cut() -> None:
    """A key that is cut would not be found where it is taken out."""
    assert in_short("x" * 290 + " AIza-the-key-is-longer-than-that") == "x" * 290 + "…"


def test_words_without_spaces_are_cut_as_well() -> None:
    assert in_short("遅" * 500) == "遅" * 300 + "…"


@pytest.mark.parametrize("piece", ["<", "<script ", "<!--", "<a ", "&lt;", "</", "< style"])
def test_the_longest_page_takes_no_time(piece: str) -> None:
    began = time.process_time()
    in_short(piece * 200_000)
    assert time.process_time() - began < 5  # it would be minutes, if each looked at all the rest


# The key


@pytest.mark.parametrize(
    "about",
    [
        failed("No.", {"reason": "API_KEY_INVALID"}),
        failed("API key not valid. Please pass a valid API key."),
        failed("API key expired. Please renew the API key."),
    ],
)
def test_a_reply_may_be_about_the_key(about: ErrorReply) -> None:
    assert about.is_about_the_key


@pytest.mark.parametrize("about", [failed(), failed("No.", {"reason": "SERVICE_DISABLED"})])
def test_a_reply_may_be_about_something_else(about: ErrorReply) -> None:
    assert not about.is_about_the_key


# Quotas


@pytest.mark.parametrize(
    "none",
    [
        failed("Quota exceeded, limit: 0, model: x."),
        failed("Quota exceeded, limit: 0."),
        failed(f"{'You exceeded your current quota. ' * 10} limit: 0, model: x."),
        failed("No.", violated(quotaValue="0")),
        failed("No.", violated(quotaValue=0)),
    ],
)
def test_a_plan_may_have_no_quota_at_all(none: ErrorReply) -> None:
    assert none.has_no_quota


@pytest.mark.parametrize(
    "some",
    [
        failed("limit: 10"),
        failed("limit: 0.5"),
        failed("limit: 05"),
        failed("No.", violated(quotaValue="10")),
        failed("No.", {"violations": ["no object", None]}),
        failed("No.", violated()),
    ],
)
def test_a_plan_may_have_some_quota(some: ErrorReply) -> None:
    assert not some.has_no_quota


@pytest.mark.parametrize(
    "daily",
    [
        failed("No.", violated(quotaId="GenerateRequestsPerDayPerProjectPerModel")),
        failed("No.", violated(quotaMetric="x/generate_requests_per_model_per_day")),
        failed("No.", violated(quotaId="RequestsPerMinute"), violated(quotaId="RequestsPerDay")),
        failed("Quota exceeded for limit 'Requests per day'."),
    ],
)
def test_a_quota_may_be_a_days(daily: ErrorReply) -> None:
    assert daily.is_daily


@pytest.mark.parametrize(
    "other",
    [
        failed(),
        failed("No.", violated(quotaId="GenerateRequestsPerMinutePerProjectPerModel")),
        failed("See how quotas per day work.", violated(quotaId="RequestsPerMinute")),
        failed("No.", "no object", {"violations": ["no object", None]}, {"violations": 5}),
    ],
)
def test_a_quota_may_be_another(other: ErrorReply) -> None:
    assert not other.is_daily


# The wait


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        ("27s", 27),
        ("1.5s", 1.5),
        ("0s", 0),
        ("27", 27),
        (27, 27),
        ("9999999999999999999999s", 86400),
        ("-1s", None),
        ("1e3s", None),
        ("abc", None),
        ("", None),
        (None, None),
    ],
)
def test_a_wish_is_taken_where_it_is_one_and_for_a_day_at_most(
    delay: object, seconds: float | None
) -> None:
    assert failed("No.", {"retryDelay": delay}).retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 86400),
        ("Mon, 01 Jan 99999 00:00:00 GMT", None),
    ],
)
def test_a_header_names_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert said({}, retry_after=value).retry_after_seconds == seconds


def test_a_date_is_waited_for() -> None:
    seconds = said({}, retry_after=formatdate(time.time() + 600, usegmt=True)).retry_after_seconds
    assert seconds is not None
    assert 500 < seconds <= 600


@pytest.mark.parametrize(("delay", "header"), [("27s", "120"), ("120s", "27")])
def test_of_two_wishes_the_longer_is_taken(delay: str, header: str) -> None:
    body = {"error": {"details": [{"retryDelay": delay}]}}
    assert said(body, retry_after=header).retry_after_seconds == 120

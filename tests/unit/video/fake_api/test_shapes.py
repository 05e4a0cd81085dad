"""The named rules answer as the reports that they come from."""

import json
from typing import Any

import pytest

from tests.chaos.video.fake_api import shapes
from tests.chaos.video.fake_api.api_request import ApiRequest
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.replies import Reply
from tests.chaos.video.fake_api.rules import FaultRule, When
from tests.chaos.video.fake_api.spoiling import spoil


def answered(rule: FaultRule) -> Reply:
    asked = ApiRequest(call=rule.call, key_valid=True, operation="models/veo/operations/op1")
    return spoil(Reply(), rule, asked)


def content(rule: FaultRule) -> Any:
    return json.loads(answered(rule).body)


def test_a_daily_quota_says_so_and_names_a_short_wait_nevertheless() -> None:
    reply = content(shapes.daily_quota(Call.VIDEO_START))["error"]
    failure, retry = reply["details"]
    assert (reply["code"], reply["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert "PerDay" in failure["violations"][0]["quotaId"]
    assert failure["violations"][0]["quotaValue"] == "10"
    assert retry["retryDelay"] == "27s"


def test_no_quota_has_the_limit_0() -> None:
    assert "limit: 0" in content(shapes.no_quota(Call.IMAGE))["error"]["message"]


def test_a_rate_limit_is_in_the_header_only() -> None:
    rule = shapes.rate_limited(Call.POLL, 120)
    assert answered(rule).headers == {"retry-after": "120"}
    assert "details" not in content(rule)["error"]


def test_an_error_in_a_list_is_its_only_item() -> None:
    (item,) = content(shapes.in_a_list(Call.IMAGE, 503, "The model is overloaded."))
    assert (item["error"]["code"], item["error"]["status"]) == (503, "UNAVAILABLE")


def test_a_cancelled_call_has_499() -> None:
    rule = shapes.cancelled(Call.DOWNLOAD)
    assert answered(rule).status == 499
    assert content(rule)["error"]["status"] == "CANCELLED"


def test_a_proxy_answers_with_a_page() -> None:
    reply = answered(shapes.proxy_asks_for_a_login(Call.IMAGE))
    assert (reply.status, reply.headers) == (407, {"content-type": "text/html"})
    assert reply.body.startswith(b"<html>")


def test_a_key_that_is_not_valid_is_named_in_the_details() -> None:
    error = content(shapes.key_not_valid(Call.POLL))["error"]
    assert (error["code"], error["details"][0]["reason"]) == (400, "API_KEY_INVALID")


def test_a_file_that_is_gone_is_not_found() -> None:
    rule = shapes.file_gone(times=None)
    assert (rule.call, rule.times, answered(rule).status) == (Call.DOWNLOAD, None, 404)


def test_a_bill_without_an_image_counts_the_tokens_of_one() -> None:
    rule = shapes.billed_without_image(match="fox")
    reply = content(rule)
    assert (rule.when, rule.match) == (When.AFTER_BILLING, "fox")
    assert reply["usageMetadata"]["candidatesTokensDetails"] == [
        {"modality": "IMAGE", "tokenCount": 1290}
    ]
    assert [list(part) for part in reply["candidates"][0]["content"]["parts"]] == [["text"]]


def test_no_image_counts_no_tokens_of_one_and_says_why() -> None:
    rule = shapes.no_image("IMAGE_PROHIBITED_CONTENT", "Support code: 42.")
    reply = content(rule)
    (candidate,) = reply["candidates"]
    assert rule.when is When.BEFORE_BILLING
    assert "candidatesTokenCount" not in reply["usageMetadata"]
    assert candidate["finishReason"] == "IMAGE_PROHIBITED_CONTENT"
    assert candidate["finishMessage"] == "Support code: 42."


def test_a_model_that_is_out_of_tokens_bills_them() -> None:
    rule = shapes.out_of_tokens()
    assert rule.when is When.AFTER_BILLING
    assert content(rule)["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert content(rule)["usageMetadata"]["candidatesTokenCount"] == 32768


def test_a_start_that_is_taken_with_202_is_billed_and_named() -> None:
    rule = shapes.taken_with_202()
    assert (rule.when, answered(rule).status) == (When.AFTER_BILLING, 202)
    assert content(rule) == {"name": "models/veo/operations/op1"}


def test_a_poll_can_be_done_with_nothing() -> None:
    rule = shapes.done_with_nothing()
    assert content(rule) == {"name": "models/veo/operations/op1", "done": True}


@pytest.mark.parametrize("call", list(Call))
def test_any_call_can_have_the_errors_of_all(call: Call) -> None:
    rules = (
        shapes.daily_quota(call),
        shapes.no_quota(call),
        shapes.rate_limited(call, 1),
        shapes.in_a_list(call, 503, "later"),
        shapes.cancelled(call),
        shapes.proxy_asks_for_a_login(call),
        shapes.key_not_valid(call),
    )
    assert [answered(rule).status for rule in rules] == [429, 429, 429, 503, 499, 407, 400]

"""What a planned fault makes of a reply."""

import json

import pytest
from pydantic import JsonValue

from tests.chaos.video.fake_api.api_request import ApiRequest
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.media import make_image
from tests.chaos.video.fake_api.replies import Reply, image
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule, When
from tests.chaos.video.fake_api.spoiling import spoil

OPERATION = "models/veo/operations/op1"
POLL = ApiRequest(call=Call.POLL, key_valid=True, operation=OPERATION)


def answered(asked: ApiRequest = POLL, **fields: object) -> Reply:
    """The reply of a rule of the kind status."""
    rule = FaultRule.model_validate({"call": asked.call, "kind": "status", **fields})
    return spoil(Reply(), rule, asked)


@pytest.mark.parametrize("body", [{"a": 1}, [{"error": {"code": 429}}], "slow down", 7, False])
def test_a_body_of_any_json_goes_out_as_json(body: JsonValue) -> None:
    reply = answered(status=429, body=body)
    assert (reply.kind, reply.status, reply.media_type) == ("status", 429, "application/json")
    assert json.loads(reply.body) == body


def test_a_text_whose_content_type_is_not_json_goes_out_as_it_stands() -> None:
    reply = answered(status=407, headers={"Content-Type": "text/html"}, body="<p>no</p>")
    assert (reply.body, reply.headers) == (b"<p>no</p>", {"content-type": "text/html"})


def test_a_text_whose_content_type_is_json_is_quoted() -> None:
    reply = answered(headers={"content-type": "application/json; charset=utf-8"}, body="no")
    assert reply.body == b'"no"'


def test_the_name_stands_for_the_operation_that_is_polled() -> None:
    reply = answered(status=200, body={"name": "$NAME", "done": True})
    assert json.loads(reply.body) == {"name": OPERATION, "done": True}


def test_the_name_is_the_operations_own_whatever_the_model_is_called() -> None:
    name = 'models/a"b\\c/operations/op1'
    asked = POLL.model_copy(update={"operation": name})
    assert json.loads(answered(asked, body=["of $NAME"]).body) == [f"of {name}"]


def test_the_name_is_left_where_there_is_no_operation() -> None:
    asked = ApiRequest(call=Call.VIDEO_START, key_valid=True, prompt="a fox")
    assert json.loads(answered(asked, status=202, body={"name": "$NAME"}).body) == {"name": "$NAME"}


@pytest.mark.parametrize("status", [202, 204, 302])
def test_a_status_below_400_has_no_body_of_its_own(status: int) -> None:
    assert answered(status=status).body == b""


def test_an_image_with_drafts_is_the_last_part_and_the_only_one_that_is_no_thought() -> None:
    true = image("a fox", make_image("r1", "a fox"))
    rule = FaultRule(call=Call.IMAGE, kind=FaultKind.DRAFTS, when=When.AFTER_BILLING)
    reply = spoil(true, rule, ApiRequest(call=Call.IMAGE, key_valid=True))
    text, draft, last = json.loads(reply.body)["candidates"][0]["content"]["parts"]
    assert [last] == json.loads(true.body)["candidates"][0]["content"]["parts"]
    assert [part.get("thought") for part in (text, draft, last)] == [True, True, None]
    assert draft["inlineData"]["data"] != last["inlineData"]["data"]
    assert (reply.kind, reply.sha256) == ("drafts", true.sha256)


@pytest.mark.parametrize(
    ("call", "status"),
    [(Call.IMAGE, 307), (Call.VIDEO_START, 307), (Call.POLL, 302), (Call.DOWNLOAD, 302)],
)
def test_a_redirect_names_the_other_place_and_keeps_the_body_of_what_is_paid(
    call: Call, status: int
) -> None:
    asked = ApiRequest(call=call, key_valid=True, elsewhere="http://localhost:1/elsewhere/x")
    reply = spoil(Reply(sha256="a"), FaultRule(call=call, kind=FaultKind.REDIRECT), asked)
    assert (reply.kind, reply.status, reply.sha256) == ("redirect", status, None)
    assert reply.headers == {"location": "http://localhost:1/elsewhere/x"}


def test_an_error_status_has_googles_own_body_beside_other_headers() -> None:
    reply = answered(status=429, headers={"retry-after": "120"})
    assert json.loads(reply.body)["error"]["status"] == "RESOURCE_EXHAUSTED"
    assert reply.headers == {"retry-after": "120"}

"""Which requests a fault rule hits, and which rules can be made."""

import pytest
from pydantic import ValidationError

from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.rule_book import RuleBook
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule, When

BEFORE, AFTER = When.BEFORE_BILLING, When.AFTER_BILLING


def hits(rule: FaultRule, prompts: list[str]) -> list[bool]:
    book = RuleBook()
    book.add(rule)
    return [book.hit(rule.call, rule.when, prompt) is rule for prompt in prompts]


def test_a_rule_hits_once_by_default() -> None:
    rule = FaultRule(call=Call.IMAGE, kind=FaultKind.STATUS)
    assert hits(rule, ["a", "a", "a"]) == [True, False, False]


def test_a_rule_hits_as_often_as_it_says() -> None:
    rule = FaultRule(call=Call.IMAGE, kind=FaultKind.STATUS, times=2)
    assert hits(rule, ["a", "a", "a"]) == [True, True, False]


def test_a_rule_without_a_number_hits_for_ever() -> None:
    rule = FaultRule(call=Call.IMAGE, kind=FaultKind.STATUS, times=None)
    assert hits(rule, ["a"] * 5) == [True] * 5


def test_a_rule_that_names_a_model_hits_no_other() -> None:
    book = RuleBook()
    rule = FaultRule(call=Call.IMAGE, kind=FaultKind.STATUS, model="old", times=None)
    book.add(rule)
    killed = [book.hit(Call.IMAGE, BEFORE, "a", model) for model in ("old", "new", None, "old")]
    assert killed == [rule, None, None, rule]


def test_only_prompts_that_contain_the_match_are_hit_and_skipped() -> None:
    rule = FaultRule(call=Call.IMAGE, kind=FaultKind.STATUS, match="fox", skip=1)
    assert hits(rule, ["a fox", "a cat", "a fox", "a fox"]) == [False, False, True, False]


def test_another_call_or_point_is_not_hit() -> None:
    book = RuleBook()
    book.add(FaultRule(call=Call.IMAGE, kind=FaultKind.STATUS, times=None))
    assert book.hit(Call.VIDEO_START, BEFORE, "a") is None
    assert book.hit(Call.IMAGE, AFTER, "a") is None


def test_rules_are_tried_in_the_order_they_were_added() -> None:
    first = FaultRule(call=Call.IMAGE, kind=FaultKind.STATUS)
    second = FaultRule(call=Call.IMAGE, kind=FaultKind.RESET)
    book = RuleBook()
    book.add(first)
    book.add(second)
    assert [book.hit(Call.IMAGE, BEFORE, "a") for _ in range(3)] == [first, second, None]


def test_hits_are_counted_for_each_rule() -> None:
    book = RuleBook()
    rule_id = book.add(FaultRule(call=Call.IMAGE, kind=FaultKind.STATUS, times=2))
    for _ in range(3):
        book.hit(Call.IMAGE, BEFORE, "a")
    assert [(status.id, status.hits) for status in book.statuses()] == [(rule_id, 2)]


def test_a_lifted_rule_hits_nothing() -> None:
    book = RuleBook()
    rule_id = book.add(FaultRule(call=Call.IMAGE, kind=FaultKind.STATUS))
    assert book.remove(rule_id)
    assert not book.remove(rule_id)
    assert book.hit(Call.IMAGE, BEFORE, "a") is None


def test_clearing_lifts_all_rules() -> None:
    book = RuleBook()
    book.add(FaultRule(call=Call.IMAGE, kind=FaultKind.STATUS))
    book.add(FaultRule(call=Call.IMAGE, kind=FaultKind.RESET))
    book.clear()
    assert book.hit(Call.IMAGE, BEFORE, "a") is None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"call": "poll", "kind": "failed_operation"}, "to video_start only"),
        ({"call": "image", "kind": "undelivered"}, "to video_start only"),
        ({"call": "poll", "kind": "drafts"}, "to image only"),
        ({"call": "image", "kind": "drafts"}, "use after_billing"),
        ({"call": "poll", "kind": "redirect", "when": "after_billing"}, "use before_billing"),
        ({"call": "poll", "kind": "expired"}, "to video_start only"),
        ({"call": "poll", "kind": "inline"}, "to video_start only"),
        ({"call": "video_start", "kind": "expired", "code": 8}, "code belongs to the kind"),
        ({"call": "download", "kind": "rai_filtered"}, "to image or video_start only"),
        (
            {"call": "video_start", "kind": "rai_filtered", "when": "after_billing"},
            "use before_billing",
        ),
        (
            {"call": "video_start", "kind": "undelivered", "when": "after_billing"},
            "use before_billing",
        ),
        ({"call": "image", "kind": "delay"}, "needs delay_seconds"),
        ({"call": "image", "kind": "reset", "delay_seconds": 1}, "the kind delay only"),
        ({"call": "image", "kind": "large", "when": "after_billing"}, "needs size_bytes"),
        ({"call": "image", "kind": "reset", "size_bytes": 1}, "the kind large only"),
        ({"call": "image", "kind": "large", "size_bytes": 1}, "use after_billing"),
        ({"call": "image", "kind": "reset", "status": 500}, "status belongs to the kind status"),
        ({"call": "image", "kind": "reset", "headers": {"a": "b"}}, "headers belongs to the kind"),
        (
            {"call": "image", "kind": "status", "body": {}, "retry_delay_seconds": 1},
            "leave body out",
        ),
        (
            {"call": "image", "kind": "status", "status": 302, "retry_delay_seconds": 1},
            "from 400 on",
        ),
        ({"call": "image", "kind": "status", "status": 204, "body": "x"}, "204 has no body"),
        (
            {"call": "image", "kind": "status", "headers": {"Content-Length": "1"}},
            "to the connection",
        ),
        ({"call": "image", "kind": "status", "wen": "after_billing"}, "not permitted"),
    ],
)
def test_a_rule_that_cannot_happen_is_refused(fields: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        FaultRule.model_validate(fields)

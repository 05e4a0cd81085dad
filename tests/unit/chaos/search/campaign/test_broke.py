"""The same defect has the same name, and another one has another."""

from __future__ import annotations

import pytest

from chaos.invariants.verdict import Finding, Verdict
from chaos.search.campaign.broke import broke_of, parts_of


def _failed(*problems: str, check: str = "billed_at_most_expected") -> Finding:
    return Finding(check, Verdict.FAILED, problems)


TWICE = _failed("charges 'load-001' was billed 2 times instead of 1")


@pytest.mark.parametrize(
    "problem",
    [
        "charges 'load-014' was billed 3 times instead of 1",
        "charges 'order-kill-try-2' was billed 12 times instead of 1",
    ],
)
def test_ids_and_numbers_make_no_difference(problem: str) -> None:
    assert broke_of([_failed(problem)]) == broke_of([TWICE])


def test_an_id_without_quotes_makes_none_where_it_is_known() -> None:
    first, second = _failed("pay-a is lost"), _failed("pay-b is lost")

    assert broke_of([first], ids=["pay-a"]) == broke_of([second], ids=["pay-b"])
    assert broke_of([first]) != broke_of([second])


def test_an_id_in_hexadecimal_digits_makes_none() -> None:
    one, other = "7d1f0a3c is lost", "91be77f0-02aa is lost"

    assert broke_of([_failed(one)]) == broke_of([_failed(other)])


def test_an_apostrophe_begins_no_id() -> None:
    assert "call" in broke_of([_failed("the worker's call of its shop's books")])


@pytest.mark.parametrize(
    "other",
    [
        _failed("parcels 'load-001' was billed 2 times instead of 1"),
        _failed(*TWICE.problems, check="all_expected_is_billed"),
    ],
)
def test_what_broke_otherwise_has_another_name(other: Finding) -> None:
    assert broke_of([other]) != broke_of([TWICE])


def test_two_workflows_with_one_defect_are_one_problem() -> None:
    twice = _failed(*TWICE.problems, "charges 'load-002' was billed 2 times instead of 1")

    assert broke_of([twice]) == broke_of([TWICE])


def test_what_did_not_fail_has_no_name() -> None:
    passed = Finding("it_holds", Verdict.PASSED)
    unknown = Finding("was_hit", Verdict.UNKNOWN, ("no call came",))

    assert broke_of([passed, unknown]) == ""


def test_a_failure_without_a_sentence_has_a_name() -> None:
    assert broke_of([_failed()]) != ""


def test_the_parts_of_two_defects_are_those_of_each() -> None:
    other = _failed("load-1 is lost", check="workflows_end_as_expected")

    assert parts_of(broke_of([TWICE, other])) == {broke_of([TWICE]), broke_of([other])}
    assert parts_of("") == frozenset()

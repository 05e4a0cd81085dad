from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from chaos.evidence import Evidence
from chaos.fake_api.ledger import Answered, Billed, Item
from chaos.invariants.money import (
    all_expected_is_billed,
    billed_at_most_expected,
    cost_matches_ledger,
)
from chaos.verdict import Verdict


def _bill(evidence: Evidence, item: Item) -> Billed:
    return next(bill for bill in evidence.billed if bill.item is item)


@pytest.mark.parametrize("name", ["concurrency", "checkpoint", "worker_crash", "retry_config"])
def test_real_evidence_holds(name: str, request: pytest.FixtureRequest) -> None:
    evidence = request.getfixturevalue(name)
    for check in (billed_at_most_expected, all_expected_is_billed, cost_matches_ledger):
        assert check.examine(evidence).problems == ()


def test_a_video_billed_twice_fails(checkpoint: Evidence) -> None:
    twice = replace(checkpoint, ledger=[*checkpoint.ledger, _bill(checkpoint, Item.VIDEO)])

    finding = billed_at_most_expected.examine(twice)

    assert finding.verdict is Verdict.FAILED
    assert "billed 2 times instead of 1" in finding.problems[0]


def test_one_more_image_is_allowed_only_where_a_fault_explains_it(worker_crash: Evidence) -> None:
    strict = [
        expected.model_copy(update={"may_be_billed_twice": ()})
        for expected in worker_crash.expectations
    ]
    thrice = [*worker_crash.ledger, _bill(worker_crash, Item.IMAGE)]

    for broken in (
        replace(worker_crash, expectations=strict),
        replace(worker_crash, ledger=thrice),
    ):
        assert billed_at_most_expected.examine(broken).verdict is Verdict.FAILED


def test_a_bill_for_what_nobody_asked_for_fails(checkpoint: Evidence) -> None:
    stray = _bill(checkpoint, Item.VIDEO).model_copy(update={"prompt": "something else"})
    broken = replace(checkpoint, ledger=[*checkpoint.ledger, stray])

    assert billed_at_most_expected.examine(broken).verdict is Verdict.FAILED


def test_a_bill_missing_from_the_ledger_fails(checkpoint: Evidence) -> None:
    video = _bill(checkpoint, Item.VIDEO)
    broken = replace(checkpoint, ledger=[r for r in checkpoint.ledger if r is not video])

    assert all_expected_is_billed.examine(broken).verdict is Verdict.FAILED


def test_a_result_that_hides_a_cost_fails(checkpoint: Evidence) -> None:
    dearer = [
        record.model_copy(update={"amount_usd": Decimal("9.99")})
        if isinstance(record, Billed) and record.item is Item.IMAGE
        else record
        for record in checkpoint.ledger
    ]

    finding = cost_matches_ledger.examine(replace(checkpoint, ledger=dearer))

    assert finding.verdict is Verdict.FAILED
    assert "says $3.639" in finding.problems[0]


def test_a_result_that_counts_a_reply_nobody_got_fails(checkpoint: Evidence) -> None:
    unheard = [
        record.model_copy(update={"client_connected": False})
        if isinstance(record, Answered)
        else record
        for record in checkpoint.ledger
    ]

    assert cost_matches_ledger.examine(replace(checkpoint, ledger=unheard)).problems

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from chaos.invariants.money import all_expected_is_billed, billed_at_most_expected
from chaos.invariants.verdict import Verdict
from tests.chaos.video.evidence import BILLS, VideoEvidence
from tests.chaos.video.fake_api.bills import Billed, Item, Record, to_line
from tests.chaos.video.invariants.money import (
    billed_once_unless_in_doubt,
    cost_matches_bills,
    every_bill_is_on_record,
)
from tests.unit.kept import load
from tests.unit.video.edits import of, only, records, with_records, without_records
from workflows.payments.calls import State


def _bill(evidence: VideoEvidence, item: Item) -> Billed:
    return next(bill for bill in evidence.billed if bill.item is item)


@pytest.mark.parametrize("name", ["concurrency", "checkpoint", "worker_crash", "retry_config"])
def test_real_evidence_holds(name: str, request: pytest.FixtureRequest) -> None:
    evidence = request.getfixturevalue(name)
    for check in (
        billed_at_most_expected,
        all_expected_is_billed,
        cost_matches_bills,
        every_bill_is_on_record,
    ):
        assert check.examine(evidence).problems == ()


def _read_again(evidence: VideoEvidence, tampered: Sequence[Record], folder: Path) -> VideoEvidence:
    """The evidence with its bills read from other records of the provider."""
    shutil.copytree(evidence.folder, folder, dirs_exist_ok=True)
    (folder / BILLS).write_bytes(b"".join(map(to_line, tampered)))
    return load(folder)


def test_a_video_billed_twice_fails(checkpoint: VideoEvidence, tmp_path: Path) -> None:
    tampered = [*checkpoint.records, _bill(checkpoint, Item.VIDEO)]

    finding = billed_at_most_expected.examine(_read_again(checkpoint, tampered, tmp_path))

    assert finding.verdict is Verdict.FAILED
    assert "billed 2 times instead of 1" in finding.problems[0]


def test_one_more_image_is_allowed_only_where_a_fault_explains_it(
    worker_crash: VideoEvidence, tmp_path: Path
) -> None:
    strict = [
        expected.model_copy(update={"may_be_charged_twice": ()}) for expected in worker_crash.specs
    ]
    thrice = [*worker_crash.records, _bill(worker_crash, Item.IMAGE)]

    for broken in (
        replace(worker_crash, specs=strict),
        _read_again(worker_crash, thrice, tmp_path),
    ):
        assert billed_at_most_expected.examine(broken).verdict is Verdict.FAILED


def test_a_bill_for_what_nobody_asked_for_fails(checkpoint: VideoEvidence, tmp_path: Path) -> None:
    stray = _bill(checkpoint, Item.VIDEO).model_copy(update={"prompt": "something else"})
    broken = _read_again(checkpoint, [*checkpoint.records, stray], tmp_path)

    assert billed_at_most_expected.examine(broken).verdict is Verdict.FAILED


def test_a_missing_bill_fails(checkpoint: VideoEvidence, tmp_path: Path) -> None:
    video = _bill(checkpoint, Item.VIDEO)
    rest = [record for record in checkpoint.records if record is not video]

    broken = _read_again(checkpoint, rest, tmp_path)

    assert all_expected_is_billed.examine(broken).verdict is Verdict.FAILED


def test_a_result_that_hides_a_cost_fails(checkpoint: VideoEvidence) -> None:
    dearer = records(checkpoint, of(Billed, item=Item.IMAGE), amount_usd=Decimal("9.99"))

    finding = cost_matches_bills.examine(dearer)

    assert finding.verdict is Verdict.FAILED
    assert "says $3.639" in finding.problems[0]


def test_a_bill_that_is_neither_cost_nor_possible_waste_fails(checkpoint: VideoEvidence) -> None:
    twice = with_records(checkpoint, _bill(checkpoint, Item.IMAGE))

    finding = cost_matches_bills.examine(twice)

    assert "says $3.639 and at most $0 of waste, but $3.678 was billed" in finding.problems[0]


def test_a_result_that_tells_of_more_than_was_billed_fails(checkpoint: VideoEvidence) -> None:
    video = _bill(checkpoint, Item.VIDEO)

    assert cost_matches_bills.examine(without_records(checkpoint, only(video))).problems


def test_a_bill_without_a_record_fails(worker_crash: VideoEvidence) -> None:
    only_done = [call for call in worker_crash.paid_calls if call.state is State.DONE]

    finding = every_bill_is_on_record.examine(replace(worker_crash, paid_calls=only_done))

    assert "was billed 2 times; on record is" in finding.problems[0]


def test_two_outcomes_of_one_step_fail(checkpoint: VideoEvidence) -> None:
    twice = (*checkpoint.paid_calls, checkpoint.paid_calls[0])

    finding = every_bill_is_on_record.examine(replace(checkpoint, paid_calls=twice))

    assert "has 2 outcomes" in finding.problems[0]


@pytest.mark.parametrize(
    "name",
    ["concurrency", "checkpoint", "worker_crash", "retry_config", "server_restart", "each_role"],
)
def test_every_second_bill_of_real_evidence_is_in_doubt(
    name: str, request: pytest.FixtureRequest
) -> None:
    finding = billed_once_unless_in_doubt.examine(request.getfixturevalue(name))

    assert finding.problems == ()


@pytest.mark.parametrize("state", [State.IN_DOUBT, State.LATE, State.INTENT])
def test_a_second_bill_needs_a_call_that_is_in_doubt(
    state: State, worker_crash: VideoEvidence
) -> None:
    def problems(shown: State) -> Sequence[str]:
        calls = tuple(
            call.model_copy(update={"state": shown}) if call.state is State.IN_DOUBT else call
            for call in worker_crash.paid_calls
        )
        shown_as = replace(worker_crash, paid_calls=calls)
        return billed_once_unless_in_doubt.examine(shown_as).problems

    assert problems(state) == ()
    assert "was billed 2 times; 0 call(s)" in problems(State.REFUSED)[0]


def test_a_doubt_about_another_step_excuses_nothing(worker_crash: VideoEvidence) -> None:
    twice = with_records(worker_crash, _bill(worker_crash, Item.VIDEO))

    finding = billed_once_unless_in_doubt.examine(twice)

    assert finding.verdict is Verdict.FAILED


def test_a_bill_for_what_nobody_asked_for_is_no_doubt(checkpoint: VideoEvidence) -> None:
    stray = _bill(checkpoint, Item.VIDEO).model_copy(update={"prompt": "something else"})
    broken = with_records(checkpoint, stray)

    assert "no workflow requested it" in billed_once_unless_in_doubt.examine(broken).problems[0]

"""A case's folder: what is saved there wins, else the target's own reading of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from chaos.evidence.bills import Bill, Billing, Charge, Mode, PaidRequest, Refusal
from chaos.evidence.case import (
    BILLING,
    BILLS,
    OLD_TIMINGS,
    PAID_REQUESTS,
    REFUSALS,
    TIMINGS,
    Evidence,
    Reading,
    Timings,
    save_billing,
    save_book,
    save_timings,
)
from chaos.evidence.case import BOOKS as ALL_BOOKS
from chaos.evidence.journal import Entry, Event
from chaos.evidence.spec import SPECS, WorkflowSpec
from tests.unit.kept import EVIDENCE

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BILL = Bill(at=AT, item="card", key="order-1", amount_usd=Decimal("49.90"))
REFUSAL = Refusal(at=AT, service="payments", workflow_id="order-1", text="HTTP 503")
SPEC = WorkflowSpec(
    workflow_id="order-1",
    workflow_type="Order",
    charges=(Charge(item="card", key="order-1"), Charge(item="parcel", key="order-1")),
)
BOOKS = "charges.txt"
"""What the guest of these tests keeps of its own: a key a line."""


def _request(number: int, *, in_doubt: bool = False) -> PaidRequest:
    return PaidRequest(
        operation_id="order-1",
        step="charge",
        number=number,
        item="card",
        cost_usd=Decimal("49.90"),
        state="open" if in_doubt else "done",
        reason=None,
        sent_at=AT,
        key="order-1",
        in_doubt=in_doubt,
    )


def _charged(folder: Path) -> Iterator[Bill]:
    file = folder / BOOKS
    for key in file.read_text().split() if file.exists() else ():
        yield BILL.model_copy(update={"key": key})


READING = Reading(
    timings=Timings(recovery_seconds=7.5, call_seconds={"charge_card": 3.0}),
    billing=Billing(prices_usd={"card": Decimal("49.90")}),
    bills=_charged,
    paid_requests=lambda _: iter([_request(1), _request(2, in_doubt=True)]),
    refusals=lambda _: iter([REFUSAL]),
)


def _save_books(folder: Path, reading: Reading) -> None:
    for book in ALL_BOOKS:
        save_book(folder, reading, book)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A case that has just begun: nothing but what was asked for is there."""
    (tmp_path / SPECS).write_text(f"[{SPEC.model_dump_json()}]")
    return tmp_path


def test_where_nothing_is_saved_the_target_reads_its_own_books(folder: Path) -> None:
    (folder / BOOKS).write_text("order-1\norder-2\n")

    evidence = Evidence.load(folder, READING)

    assert [bill.key for bill in evidence.bills] == ["order-1", "order-2"]
    assert [request.number for request in evidence.paid_requests] == [1, 2]
    assert evidence.refusals == (REFUSAL,)
    assert (evidence.billing, evidence.timings) == (READING.billing, READING.timings)


def test_what_is_saved_wins_over_the_targets_reading(folder: Path) -> None:
    (folder / BOOKS).write_text("order-1")
    _save_books(folder, READING)
    save_billing(folder, READING.billing)
    save_timings(folder, READING.timings)
    saved = Evidence.load(folder, READING)
    (folder / BOOKS).write_text("another")

    assert Evidence.load(folder, Reading()) == saved
    assert Evidence.load(folder, replace(READING, timings=Timings(), billing=Billing())) == saved
    assert saved.bills == (BILL,)
    for file in (BILLS, PAID_REQUESTS, REFUSALS, BILLING, TIMINGS):
        assert (folder / file).is_file()


@pytest.mark.parametrize("file", [BILLS, PAID_REQUESTS, REFUSALS])
def test_nothing_saved_is_not_the_same_as_nothing_known(file: str, folder: Path) -> None:
    (folder / BOOKS).write_text("order-1")
    (folder / file).write_text("[]")

    evidence = Evidence.load(folder, READING)

    found = {
        BILLS: evidence.bills,
        PAID_REQUESTS: evidence.paid_requests,
        REFUSALS: evidence.refusals,
    }
    assert [name for name, each in found.items() if not each] == [file]


def test_where_nobody_tells_anything_there_are_no_bills_and_the_sdks_timings(folder: Path) -> None:
    evidence = Evidence.load(folder)

    assert (evidence.bills, evidence.paid_requests, evidence.refusals) == ((), (), ())
    assert (evidence.billing, evidence.live) == (Billing(), False)
    assert evidence.timings == Timings()
    assert evidence.timings.recovery_seconds is None
    assert evidence.timings.heartbeat_interval_seconds is None
    assert (evidence.timings.sticky_queue_seconds, evidence.timings.keepalive_seconds) == (10, 45)


def test_the_promise_of_older_versions_is_read_and_the_rest_has_its_defaults(folder: Path) -> None:
    (folder / OLD_TIMINGS).write_text('{"recovery_seconds": 25}')

    assert Evidence.load(folder, READING).timings == Timings(recovery_seconds=25)


def test_newer_timings_win_over_an_older_promise(folder: Path) -> None:
    (folder / OLD_TIMINGS).write_text('{"recovery_seconds": 25}')
    save_timings(folder, Timings(recovery_seconds=3))

    assert Evidence.load(folder, READING).timings.recovery_seconds == 3


def test_an_older_run_of_another_target_is_read_whole() -> None:
    evidence = Evidence.load(EVIDENCE.parent / "orders" / "worker_dies_charging" / "sigkill")

    assert evidence.timings == Timings(recovery_seconds=25)
    assert [spec.workflow_id for spec in evidence.specs] == ["order-killed"]
    assert list(evidence.workflows) == ["order-killed"]
    assert (evidence.bills, evidence.live) == ((), False)


@pytest.mark.parametrize(
    "said",
    [
        {"recovery_seconds": -1},
        {"recovery_seconds": float("nan")},
        {"heartbeat_interval_seconds": float("inf")},
        {"sticky_queue_seconds": -0.1},
        {"keepalive_seconds": None},
        {"call_seconds": {"charge_card": 1e9}},
    ],
    ids=str,
)
def test_a_timing_is_a_length_of_time(said: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Timings.model_validate(said)


@pytest.mark.parametrize("content", ["{", "null", '[{"item": "card"}]'])
def test_books_that_are_damaged_are_never_read_as_empty_ones(content: str, folder: Path) -> None:
    (folder / BILLS).write_text(content)

    with pytest.raises(ValueError, match="validation error"):
        Evidence.load(folder, READING)


def test_only_what_may_have_been_paid_in_vain_is_in_doubt(folder: Path) -> None:
    assert [request.number for request in Evidence.load(folder, READING).in_doubt] == [2]


def test_a_live_case_is_known_by_its_own_file(folder: Path) -> None:
    save_billing(folder, Billing(mode=Mode.LIVE, prices_usd={"card": Decimal("0.40")}))

    evidence = Evidence.load(folder, READING)

    assert evidence.live
    assert evidence.billing.prices_usd == {"card": Decimal("0.40")}
    assert '"0.40"' in (folder / BILLING).read_text()


def _unreadable(_: Path) -> Iterator[Bill]:
    raise LookupError("the books are gone")


def test_books_that_cannot_be_read_are_not_saved_and_the_others_are(folder: Path) -> None:
    broken = replace(READING, bills=_unreadable)

    bills, *others = ALL_BOOKS
    with pytest.raises(LookupError, match="the books are gone"):
        save_book(folder, broken, bills)
    for book in others:
        save_book(folder, broken, book)

    assert not (folder / BILLS).exists()
    assert (folder / PAID_REQUESTS).exists()
    assert (folder / REFUSALS).exists()


def test_books_that_cannot_be_read_break_the_evidence_unless_the_journal_tells_of_it(
    folder: Path,
) -> None:
    """Nobody may take them for empty ones: of a case in trouble no verdict is a pass."""
    broken = replace(READING, bills=_unreadable)
    with pytest.raises(LookupError, match="the books are gone"):
        Evidence.load(folder, broken)

    trouble = Entry(at=AT, event=Event.TROUBLE, text="the target's bills cannot be read")
    (folder / "journal.jsonl").write_text(f"{trouble.model_dump_json()}\n")
    evidence = Evidence.load(folder, broken)

    assert evidence.bills == ()
    assert evidence.troubles == [trouble.text]
    assert evidence.refusals == (REFUSAL,)


def test_a_journals_first_entry_is_found_by_all_that_is_given(folder: Path) -> None:
    journal = [
        Entry(at=AT + timedelta(seconds=n), event=event, target=target, pid=pid, signal=signal)
        for n, (event, target, pid, signal) in enumerate(
            [
                (Event.STARTED, "worker-1", 1, None),
                (Event.SIGNALED, "worker-1", 1, "SIGSTOP"),
                (Event.SIGNALED, "worker-1", 1, "SIGKILL"),
                (Event.SIGNALED, "worker-2", 2, "SIGKILL"),
            ]
        )
    ]
    evidence = replace(Evidence.load(folder), journal=journal)

    assert evidence.first_entry(Event.SIGNALED) == journal[1]
    assert evidence.first_entry(Event.SIGNALED, signal="SIGKILL") == journal[2]
    assert evidence.first_entry(Event.SIGNALED, target="worker-2") == journal[3]
    assert evidence.first_entry(Event.SIGNALED, pid=1, after=journal[1].at) == journal[2]
    assert evidence.first_entry(Event.SIGNALED, after=journal[3].at) is None


def test_a_spec_whose_workflow_is_lost_has_none(folder: Path) -> None:
    evidence = Evidence.load(folder)

    assert evidence.specs == (SPEC,)
    assert list(evidence.specified_workflows()) == []

"""The bills of an order against its charges, by evidence that is made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from chaos.evidence.bills import Bill, Charge
from chaos.evidence.case import Evidence
from chaos.evidence.headroom import Strain
from chaos.evidence.history import Workflow
from chaos.evidence.journal import Entry, Event
from chaos.evidence.spec import WorkflowSpec
from chaos.invariants.money import all_expected_is_billed, billed_at_most_expected, billed_times
from chaos.invariants.verdict import Verdict

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STARTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
COMPLETED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
BUSY = Entry(at=AT, event=Event.STRAIN, strain=Strain(pressure=0.97, steal=0.0, lag_seconds=1.4))

CARD, PARCEL = Charge(item="card", key="order-1"), Charge(item="parcel", key="order-1")
ORDER = WorkflowSpec(workflow_id="order-1", workflow_type="Order", charges=(CARD, PARCEL))


def _bill(charge: Charge, usd: str = "49.90") -> Bill:
    return Bill(at=AT, item=charge.item, key=charge.key, amount_usd=Decimal(usd))


def _workflow(*kinds: EventType.ValueType) -> Workflow:
    events = [HistoryEvent(event_id=n, event_type=kind) for n, kind in enumerate(kinds, start=1)]
    return Workflow(ORDER.workflow_id, (WorkflowHistory(ORDER.workflow_id, events),))


def _evidence(*bills: Bill, specs: Sequence[WorkflowSpec] = (ORDER,)) -> Evidence:
    workflows = {ORDER.workflow_id: _workflow(STARTED, COMPLETED)}
    return Evidence(Path("nowhere"), specs, workflows, (), bills)


PAID = _evidence(_bill(CARD), _bill(PARCEL))


def test_an_order_that_is_billed_as_it_is_charged_holds() -> None:
    assert billed_at_most_expected.examine(PAID).problems == ()
    assert all_expected_is_billed.examine(PAID).problems == ()


def test_an_order_that_costs_nothing_and_is_billed_nothing_holds() -> None:
    free = _evidence(specs=(ORDER.model_copy(update={"charges": ()}),))

    assert billed_at_most_expected.examine(free).problems == ()
    assert all_expected_is_billed.examine(free).problems == ()


def test_what_is_billed_twice_fails() -> None:
    finding = billed_at_most_expected.examine(_evidence(_bill(CARD), _bill(CARD), _bill(PARCEL)))

    assert finding.verdict is Verdict.FAILED
    assert finding.problems == ("card 'order-1' was billed 2 times instead of 1",)


def test_an_order_that_is_started_again_owes_nothing_twice() -> None:
    again = (ORDER, ORDER.model_copy(update={"attempts": {"charge_card": 2}}))

    assert all_expected_is_billed.examine(_evidence(*PAID.bills, specs=again)).problems == ()
    twice = _evidence(*PAID.bills, _bill(CARD), specs=again)
    assert billed_at_most_expected.examine(twice).verdict is Verdict.FAILED


def test_a_bill_of_an_experiment_that_broke_off_may_be_of_somebody_who_did_not_say_so() -> None:
    broken = Entry(at=AT, event=Event.TROUBLE, text="no worker came")
    nobodys = replace(_evidence(_bill(CARD), specs=()), journal=(broken,))

    assert billed_at_most_expected.examine(nobodys).verdict is Verdict.UNKNOWN
    assert billed_at_most_expected.examine(replace(nobodys, journal=())).verdict is Verdict.FAILED


def test_one_of_nothing_counts_as_well() -> None:
    """A second booking is one, whatever it says that it costs."""
    twice = _evidence(_bill(CARD), _bill(CARD, "0"), _bill(PARCEL))

    assert billed_at_most_expected.examine(twice).verdict is Verdict.FAILED
    assert billed_times(twice) == {("card", "order-1"): 2, ("parcel", "order-1"): 1}


@pytest.mark.parametrize(("bills", "verdict"), [(2, Verdict.PASSED), (3, Verdict.FAILED)])
def test_one_more_is_excused_where_a_fault_cut_its_request_off(
    bills: int, verdict: Verdict
) -> None:
    excused = ORDER.model_copy(update={"may_be_charged_twice": ("order-1",), "charges": (CARD,)})

    finding = billed_at_most_expected.examine(_evidence(*[_bill(CARD)] * bills, specs=(excused,)))

    assert finding.verdict is verdict


def test_the_excuse_of_one_key_is_none_of_another() -> None:
    excused = ORDER.model_copy(update={"may_be_charged_twice": ("order-2",)})
    twice = _evidence(_bill(CARD), _bill(CARD), _bill(PARCEL), specs=(excused,))

    assert billed_at_most_expected.examine(twice).verdict is Verdict.FAILED


@pytest.mark.parametrize(
    "stray",
    [Charge(item="card", key="order-2"), Charge(item="stamp", key="order-1")],
    ids=["another key", "another item"],
)
def test_a_bill_that_no_workflow_asked_for_fails(stray: Charge) -> None:
    finding = billed_at_most_expected.examine(replace(PAID, bills=[*PAID.bills, _bill(stray)]))

    assert finding.verdict is Verdict.FAILED
    assert finding.problems == (
        f"{stray.item} {stray.key!r} was billed 1 times, and no workflow requested it",
    )


def test_what_is_not_to_be_charged_must_not_be_billed() -> None:
    never = CARD.model_copy(update={"times": 0})
    spared = _evidence(_bill(CARD), specs=(ORDER.model_copy(update={"charges": (never,)}),))

    assert billed_at_most_expected.examine(spared).problems == (
        "card 'order-1' was billed 1 times instead of 0",
    )


@pytest.mark.parametrize("billed", [0, 1, 2, 3])
def test_what_is_charged_several_times_is_billed_exactly_so_often(billed: int) -> None:
    twice = ORDER.model_copy(update={"charges": (CARD.model_copy(update={"times": 2}),)})
    evidence = _evidence(*[_bill(CARD)] * billed, specs=(twice,))

    assert bool(billed_at_most_expected.examine(evidence).problems) is (billed > 2)
    assert bool(all_expected_is_billed.examine(evidence).problems) is (billed < 2)


def test_what_was_delivered_and_not_billed_fails() -> None:
    finding = all_expected_is_billed.examine(_evidence(_bill(CARD)))

    assert finding.verdict is Verdict.FAILED
    assert finding.problems == ("parcel 'order-1' was billed 0 times, not 1",)


@pytest.mark.parametrize(
    ("kinds", "verdict"),
    [((STARTED,), Verdict.UNKNOWN), ((STARTED, COMPLETED), Verdict.FAILED)],
    ids=["it still runs", "it has ended"],
)
def test_on_a_busy_machine_a_bill_may_still_come_while_its_workflow_runs(
    kinds: tuple[EventType.ValueType, ...], verdict: Verdict
) -> None:
    unpaid = replace(_evidence(), workflows={"order-1": _workflow(*kinds)}, journal=(BUSY,))

    assert all_expected_is_billed.examine(unpaid).verdict is verdict


def test_a_lost_workflow_excuses_no_missing_bill() -> None:
    lost = replace(_evidence(), workflows={}, journal=(BUSY,))

    assert all_expected_is_billed.examine(lost).verdict is Verdict.FAILED


def test_two_workflows_charged_for_one_thing_are_billed_twice() -> None:
    both = (ORDER, ORDER.model_copy(update={"workflow_id": "order-1-again"}))
    evidence = _evidence(*PAID.bills, *PAID.bills, specs=both)

    assert billed_at_most_expected.examine(evidence).problems == ()
    assert all_expected_is_billed.examine(evidence).problems == ()
    assert all_expected_is_billed.examine(_evidence(*PAID.bills, specs=both)).problems == (
        "card 'order-1' was billed 1 times, not 2",
        "parcel 'order-1' was billed 1 times, not 2",
    )
    thrice = _evidence(*[_bill(CARD)] * 3, specs=both)
    assert billed_at_most_expected.examine(thrice).verdict is Verdict.FAILED


def test_of_an_experiment_that_broke_off_only_bills_too_many_are_judged() -> None:
    assert billed_at_most_expected.at_any_moment
    assert not all_expected_is_billed.at_any_moment

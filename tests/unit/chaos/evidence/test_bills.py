from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

import pytest
from pydantic import ValidationError

from chaos.evidence.bills import Bill, Billing, Charge, InDoubt, Mode, PaidRequest

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class _Item(StrEnum):
    CARD = "card"


def _bill(usd: object) -> Bill:
    return Bill.model_validate({"at": AT, "item": "card", "key": "order-1", "amount_usd": usd})


def test_a_charge_and_its_bill_are_for_the_same_thing() -> None:
    assert Charge(item="card", key="order-1").thing == _bill("49.90").thing == ("card", "order-1")


def test_a_targets_own_names_of_items_are_plain_text_in_things() -> None:
    thing = Charge(item=_Item.CARD, key="order-1").thing

    assert thing == ("card", "order-1")
    assert type(thing[0]) is str


def test_what_is_charged_for_is_charged_for_once_unless_it_says_otherwise() -> None:
    assert Charge(item="card", key="order-1").times == 1


@pytest.mark.parametrize("times", [-1, 0.5])
def test_no_charge_is_made_less_than_never(times: float) -> None:
    with pytest.raises(ValidationError):
        Charge.model_validate({"item": "card", "key": "order-1", "times": times})


@pytest.mark.parametrize("usd", ["-0.01", "NaN", "Infinity", "1000000000", "free"])
def test_an_amount_is_a_price_that_somebody_can_pay(usd: str) -> None:
    with pytest.raises(ValidationError):
        _bill(usd)


@pytest.mark.parametrize("usd", ["0", "0.0390", "49.90", "999999999.99"])
def test_an_amount_is_kept_to_the_last_digit(usd: str) -> None:
    read = Bill.model_validate_json(_bill(usd).model_dump_json())

    assert str(read.amount_usd) == usd


def test_a_time_without_its_zone_is_no_time_of_a_bill() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        Bill.model_validate(
            {"at": datetime(2026, 1, 2), "item": "card", "key": "order-1", "amount_usd": 1}  # noqa: DTZ001 - that is the point
        )


def test_nobody_is_paid_for_real_unless_a_target_says_so() -> None:
    assert Billing() == Billing(mode=Mode.MOCKED, prices_usd={})


def test_what_is_in_doubt_is_told_without_the_guests_own_key() -> None:
    request = PaidRequest(
        operation_id="order-1",
        step="charge",
        number=2,
        item="card",
        cost_usd=Decimal("49.90"),
        state="ambiguous",
        reason="no reply",
        sent_at=AT,
        key="charge-order-1",
        in_doubt=True,
    )

    told = InDoubt.model_validate(request)

    assert type(told) is InDoubt
    assert told.model_dump() == request.model_dump(exclude={"key", "in_doubt"})

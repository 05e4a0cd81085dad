"""Money on its way to the database and back, and what its errors mean."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy.engine.default import DefaultDialect

from workflows.payments.tables import Usd

DIALECT = DefaultDialect()


@pytest.mark.parametrize(
    ("dollars", "stored", "written"),
    [
        ("0", 0, "0.00"),
        ("0.039", 39_000_000, "0.039"),
        ("1.20", 1_200_000_000, "1.20"),
        ("100", 100_000_000_000, "100.00"),
        ("0.000000001", 1, "1E-9"),
    ],
)
def test_money_is_stored_as_whole_nano_dollars(dollars: str, stored: int, written: str) -> None:
    kept = Usd().process_bind_param(Decimal(dollars), DIALECT)

    assert kept == stored
    assert str(Usd().process_result_value(kept, DIALECT)) == written


def test_a_price_finer_than_a_nano_dollar_is_refused_and_not_rounded() -> None:
    with pytest.raises(ValueError, match="nano"):
        Usd().process_bind_param(Decimal("0.0000000005"), DIALECT)


def test_a_sum_as_postgresql_gives_it_is_money_too() -> None:
    assert Usd().process_result_value(Decimal(39_000_000), DIALECT) == Decimal("0.039")


def test_no_money_is_no_money() -> None:
    assert Usd().process_bind_param(None, DIALECT) is None
    assert Usd().process_result_value(None, DIALECT) is None

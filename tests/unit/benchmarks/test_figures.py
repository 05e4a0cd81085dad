"""Statistics and ratios, and the way to a file and back."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from benchmarks.figures import RATIO, Quantity, Row, Table, seconds


def test_a_quantity_tells_its_median_and_its_spread() -> None:
    quantity = seconds(1.0, 9.0, 2.0, 3.0)

    told = json.loads(quantity.model_dump_json())

    assert told == {
        "values": [1.0, 9.0, 2.0, 3.0],
        "unit": "s",
        "repetitions": 4,
        "median": 2.5,
        "low": 1.0,
        "high": 9.0,
        "mad": 1.0,
    }


def test_one_outlier_moves_the_range_and_not_the_deviation() -> None:
    calm, wild = seconds(1.0, 2.0, 3.0, 4.0, 5.0), seconds(1.0, 2.0, 3.0, 4.0, 500.0)

    assert calm.mad == wild.mad == 1.0
    assert wild.high == 500.0


def test_a_ratio_is_to_the_median_of_its_baseline() -> None:
    ratio = seconds(2.0, 6.0).over(seconds(1.0, 2.0, 100.0))

    assert ratio == Quantity(values=(1.0, 3.0), unit=RATIO)


def test_unlike_units_have_no_ratio() -> None:
    with pytest.raises(ValueError, match="ms cannot be divided by s"):
        Quantity(values=(1.0,), unit="ms").over(seconds(1.0))


def test_nothing_measured_is_no_quantity() -> None:
    with pytest.raises(ValidationError):
        seconds()


def test_a_table_comes_back_from_json_as_it_was() -> None:
    rows = (
        Row(name="a", cells={"x": seconds(1.5)}),
        Row(name="b", cells={"y": seconds(2.5)}, remark="as told"),
    )
    table = Table.of("both", rows)

    assert table.columns == ("x", "y")
    assert Table.model_validate_json(table.model_dump_json()) == table


def test_a_row_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        Table.of("none", ()).row("a")

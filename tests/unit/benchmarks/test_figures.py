"""Statistics, ratios, several runs as one, and the way to Markdown and JSON."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from benchmarks.figures import RATIO, Benchmark, Found, Quantity, Report, Row, Table, seconds


def _found(*values: float, name: str = "killed") -> Found:
    baseline = Row(name="undisturbed", cells={"step": seconds(2.0)})
    row = Row(name=name, cells={"step": seconds(*values), "more": seconds(7)})
    return Found(tables=(Table(title="Steps", rows=(baseline, row)),), notes=("a note",))


def test_a_ratio_is_to_the_median_of_its_baseline() -> None:
    ratio = seconds(2.0, 6.0).over(seconds(1.0, 2.0, 100.0))

    assert ratio == Quantity(values=(1.0, 3.0), unit=RATIO)


def test_unlike_units_have_no_ratio_and_nothing_measured_is_no_quantity() -> None:
    with pytest.raises(ValueError, match="ms cannot be divided by s"):
        Quantity(values=(1.0,), unit="ms").over(seconds(1.0))
    with pytest.raises(ValidationError):
        seconds()


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        (seconds(0.0283), "0.028 s"),
        (seconds(1.0, 2.0, 4.5), "2 s (1 to 4.50)"),
        (seconds(66.93), "66.9 s"),
        (seconds(1810.4), "1810 s"),
        (Quantity(values=(3.456,), unit=RATIO), "3.46×"),  # noqa: RUF001 - the unit
        (Quantity(values=(3.0,), unit=""), "3"),
    ],
)
def test_a_figure_has_three_digits_and_its_unit(quantity: Quantity, expected: str) -> None:
    assert str(quantity) == expected


def test_a_report_has_a_row_for_each_row_and_comes_back_from_json_as_it_was() -> None:
    benchmark = Benchmark(
        name="restart", question="How long?", found=_found(1, 3), duration_s=3, load_before=0.5
    )
    report = Report(
        started_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        machine="2 cores.",
        benchmarks=(benchmark,),
    )

    lines = report.markdown().splitlines()
    assert "| undisturbed | 2 s | - |" in lines
    assert "| killed | 2 s (1 to 3) | 7 s |" in lines
    assert {"2 cores.", "3 s; load average before: 0.5.", "- a note"} <= set(lines)
    assert Report.model_validate_json(report.model_dump_json(by_alias=True)) == report


def test_the_values_of_several_runs_are_their_medians_for_rows_that_all_have() -> None:
    runs = [_found(1, 2, 9), _found(3), _found(4, 6)]

    (table,) = Found.together(runs).tables
    assert table.row("killed").cells["step"].values == (2.0, 3.0, 5.0)
    (table,) = Found.together([*runs, _found(1, name="another")]).tables
    assert [row.name for row in table.rows] == ["undisturbed"]
    assert Found.together(runs[:1]) == runs[0]

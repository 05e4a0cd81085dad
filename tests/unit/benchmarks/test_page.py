"""Markdown and the page."""

from __future__ import annotations

import pytest

from benchmarks import page, restart
from benchmarks.figures import RATIO, Quantity, seconds
from benchmarks.page import text
from tests.unit.benchmarks.reports import report


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        (seconds(0.0283), "0.028 s"),
        (seconds(1.0, 2.0, 4.5), "2 s (1 to 4.50)"),
        (seconds(66.93), "66.9 s"),
        (seconds(1810.4), "1810 s"),
        (Quantity(values=(3.456,), unit=RATIO), "3.46×"),  # noqa: RUF001 - the unit
    ],
)
def test_a_figure_has_three_digits_and_its_unit(quantity: Quantity, expected: str) -> None:
    assert text(quantity) == expected


def test_markdown_has_a_row_for_each_row_and_says_what_is_not_there() -> None:
    lines = page.markdown(report([1.0, 3.0])).splitlines()

    (killed,) = (line for line in lines if line.startswith("| SIGKILL, started again at once |"))
    (undisturbed,) = (line for line in lines if line.startswith("| undisturbed |"))
    assert killed.split(" | ")[1:3] == ["0.300 s", "2 s (1 to 3)"]
    assert undisturbed.endswith("| - |")


def test_markdown_says_where_it_was_measured_and_how_busy_that_was() -> None:
    told = page.markdown(report([1.0]))

    assert "2026-01-02 03:04 UTC, 2 cores, 8 GB, Linux; python 3.11." in told
    assert "3 s; load average 0.5 before, 0.5 after." in told


def test_the_page_holds_the_plot_and_needs_nothing_else() -> None:
    told = report([1.0])

    html = page.page(told, {restart.NAME: restart.plot(told.benchmarks[0].found)})

    assert '<section id="restart">' in html
    assert "<svg" in html
    assert "<img" not in html
    assert 'src="http' not in html


def test_the_page_escapes_what_others_wrote() -> None:
    html = page.page(report([1.0], note="<b>bold</b>"), {})

    assert "<b>bold</b>" not in html
    assert "&lt;b&gt;bold&lt;/b&gt;" in html

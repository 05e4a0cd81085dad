from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from chaos.experiment.events import Billed, CaseName
from chaos.plugin.view.bills import Bills
from tests.unit.chaos.plugin.view.story import ONE, Books, case

OTHER = CaseName("concurrency", "one_worker", alone=True)


class BooksError(Exception):
    """A target's own, of which the harness knows nothing."""


def test_only_cases_that_were_billed_something_are_told_each_once() -> None:
    books = Books("0", "0.039", "0.039", "1.239")
    bills = Bills([case(billed_usd=books), case(OTHER)])

    assert [list(bills.read()) for _ in range(5)] == [
        [],
        [Billed(ONE, Decimal("0.039"))],
        [],
        [Billed(ONE, Decimal("1.239"))],
        [],
    ]


def test_what_is_taken_back_is_told_as_well() -> None:
    bills = Bills([case(billed_usd=Books("1.20", "0"))])

    assert [list(bills.read()) for _ in range(2)] == [
        [Billed(ONE, Decimal("1.20"))],
        [Billed(ONE, Decimal(0))],
    ]


@pytest.mark.parametrize(
    "error",
    [FileNotFoundError(), ValueError("half a line"), KeyError("usd"), BooksError()],
    ids=repr,
)
def test_books_that_cannot_be_read_yet_have_nothing_new_and_keep_nothing_from_the_others(
    error: Exception,
) -> None:
    unreadable: Callable[[], Decimal] = Books(error, error, "1.20")
    bills = Bills([case(billed_usd=unreadable), case(OTHER, billed_usd=Books("0.039"))])

    assert list(bills.read()) == [Billed(OTHER, Decimal("0.039"))]
    assert list(bills.read()) == []
    assert list(bills.read()) == [Billed(ONE, Decimal("1.20"))]


def test_what_was_told_stands_while_its_books_cannot_be_read() -> None:
    bills = Bills([case(billed_usd=Books("1.20", OSError(), "1.20"))])

    assert len(list(bills.read())) == 1
    assert list(bills.read()) == []
    assert list(bills.read()) == []

"""A boundary is its own words, and what names none is explained."""

from __future__ import annotations

import pytest

from chaos.wire.boundary import Boundary, BoundaryError, Kind, Stage


@pytest.mark.parametrize(
    "text",
    [
        "activity charge_card completing 1",
        "workflow_task Order assigned 12",
        "query how many? completed 2",
        "call POST /charges/* answered 3",
        "marker core_local_activity completing 1",
        "activity two\nlines `and` more completing 1",
    ],
)
def test_its_words_name_it(text: str) -> None:
    assert str(Boundary.parse(text)) == text


def test_without_a_number_it_is_the_first() -> None:
    expected = Boundary(kind=Kind.ACTIVITY, subject="pack 2", stage=Stage.FAILED, ordinal=1)
    assert Boundary.parse("activity pack 2 failed") == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "write a kind"),
        ("activity completing", "write a kind"),
        ("chore pack completing", "write a kind"),
        ("activity pack ending", "write a kind"),
        ("activity pack completing x", "write a kind"),
        ("heartbeat pack assigned", "a heartbeat has the stages completing, completed"),
        ("call GET / failed", "a call has the stages leaving, answered"),
        ("activity pack leaving", "an? activity has the stages"),
        ("activity pack completing 0", "numbers begin at 1"),
    ],
)
def test_what_names_none_is_explained(text: str, why: str) -> None:
    with pytest.raises(BoundaryError, match=why):
        Boundary.parse(text)

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
        "activity * completing 2",
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


@pytest.mark.parametrize(
    ("text", "other", "is_covered"),
    [
        ("activity pack completing 2", "activity pack completing 2", True),
        ("activity pack completing 2", "activity pack completing 1", False),
        ("activity pack completing", "activity send completing", False),
        ("activity * completing 2", "activity send completing 7", True),
        ("activity * completing", "activity send completed", False),
        ("activity * completing", "heartbeat send completing", False),
        ("call POST /charges leaving", "call POST /charges leaving 7", True),
        ("call POST /charges leaving", "call GET /charges leaving", False),
        ("call * leaving", "call GET /charges leaving 7", True),
    ],
)
def test_it_covers_what_is_there_and_what_a_breakpoint_has_to_count(
    text: str, other: str, is_covered: bool
) -> None:
    assert Boundary.parse(text).covers(Boundary.parse(other)) is is_covered

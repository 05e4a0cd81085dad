from __future__ import annotations

import pytest

from chaos.plugin.view.layout import Kind, Layout, layout
from chaos.plugin.view.rows import rows_of
from tests.unit.chaos.plugin.view.story import NAMES, alone, busy

EIGHTEEN = alone(*NAMES)


def _lines(plan: Layout) -> int:
    """As many as a frame of it has, with the head, the total and the cursor's."""
    return len(plan.rows) + len(plan.folds) + plan.remarks + 2 + 1 + (3 if plan.is_airy else 0)


def test_on_the_smallest_usual_terminal_all_eighteen_scenarios_have_a_row() -> None:
    plan = layout(rows_of(busy(EIGHTEEN, passed=3, waiting=9)), 8, 80, 24)

    assert [row.name for row in plan.rows] == list(NAMES)
    assert (plan.folds, plan.remarks, plan.is_airy, plan.is_wide) == ([], 2, False, False)


def test_on_a_large_one_there_is_air_and_room_for_remarks() -> None:
    plan = layout(rows_of(busy(EIGHTEEN, passed=3, waiting=9)), 8, 120, 40)

    assert (len(plan.rows), plan.remarks, plan.is_airy, plan.is_wide) == (18, 6, True, True)


def test_two_remarks_come_before_air() -> None:
    rows = rows_of(busy(EIGHTEEN, passed=3, waiting=9))
    scarce, enough = layout(rows, 8, 80, 26), layout(rows, 8, 80, 27)

    assert (scarce.remarks, scarce.is_airy) == (4, False)
    assert (enough.remarks, enough.is_airy) == (2, True)


def test_those_that_passed_are_folded_first_and_then_those_that_wait() -> None:
    rows = rows_of(busy(EIGHTEEN, passed=5, failed=1, waiting=8))
    little = layout(rows, 2, 80, 20)
    less = layout(rows, 2, 80, 16)

    assert [(fold.kind, len(fold.rows)) for fold in little.folds] == [(Kind.PASSED, 5)]
    assert [row.name for row in little.rows] == list(NAMES[5:])
    assert [fold.kind for fold in less.folds] == [Kind.PASSED, Kind.WAITING]
    assert [row.name for row in less.rows] == list(NAMES[5:10])


def test_where_nothing_helps_failures_and_faults_stay_in_sight() -> None:
    names = alone(*(f"scenario_{n}" for n in range(40)))
    plan = layout(rows_of(busy(names, passed=1, failed=2, waiting=1)), 8, 80, 24)

    assert [row.name for row in plan.rows[:2]] == ["scenario_1", "scenario_2"]
    assert all(row.fault or row.verdict for row in plan.rows)
    (more,) = plan.folds
    assert (more.kind, len(more.rows) + len(plan.rows)) == (Kind.MORE, 40)


@pytest.mark.parametrize("count", [0, 1, 5, 18, 40, 200])
def test_there_are_never_more_lines_than_the_terminal_has_below_pytests_own(count: int) -> None:
    names = alone(*(f"scenario_{n}" for n in range(count)))
    for passed in {0, count // 3, count}:
        rows = rows_of(busy(names, passed=passed, waiting=(count - passed) // 2))
        for height in range(7, 60):
            for remarks in (0, 1, 8):
                plan = layout(rows, remarks, 80, height)
                assert _lines(plan) <= height - 1
                assert len(plan.rows) + sum(len(fold.rows) for fold in plan.folds) == count

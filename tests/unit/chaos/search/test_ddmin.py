"""The search for a shorter schedule, with a stand-in for the runs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from chaos.search.ddmin import Shrinking, trim
from chaos.search.draw import Wishes, draw
from chaos.search.schedule import Schedule

SCHEDULE = draw(11, Wishes(duration_seconds=60, workflows=12))
FAULTS = [planned.fault for planned in SCHEDULE.faults]


def _search(
    fails: Callable[[Schedule], bool], most_runs: int = 500, confirmations: int = 0
) -> tuple[Shrinking, Schedule]:
    def run(schedules: Sequence[Schedule]) -> Sequence[bool]:
        return [fails(schedule) for schedule in schedules]

    search = Shrinking(run=run, most_runs=most_runs, at_once=2, confirmations=confirmations)
    return search, search.shrink(SCHEDULE)


def _has(schedule: Schedule, *numbers: int) -> bool:
    left = [planned.fault for planned in schedule.faults]
    return all(FAULTS[number] in left for number in numbers)


def test_the_one_fault_that_matters_is_found() -> None:
    _, found = _search(lambda schedule: _has(schedule, 5))

    assert [planned.fault for planned in found.faults] == [FAULTS[5]]
    assert len(found.orders) == 1


def test_two_faults_that_matter_together_are_found() -> None:
    _, found = _search(lambda schedule: _has(schedule, 2, 9))

    assert [planned.fault for planned in found.faults] == [FAULTS[2], FAULTS[9]]


def test_the_workflow_that_matters_is_kept() -> None:
    wanted = SCHEDULE.orders[7].workflow_id
    _, found = _search(lambda schedule: wanted in {order.workflow_id for order in schedule.orders})

    assert [order.workflow_id for order in found.orders] == [wanted]


def test_a_failure_that_no_fault_causes_leaves_no_fault() -> None:
    _, found = _search(lambda _: True)

    assert found.faults == ()
    assert len(found.orders) == 1


def test_what_does_not_fail_again_stays_as_it_was() -> None:
    _, found = _search(lambda _: False)

    assert found.faults == SCHEDULE.faults
    assert found.orders == SCHEDULE.orders


def test_no_more_is_run_than_was_allowed() -> None:
    search, found = _search(lambda schedule: _has(schedule, 2, 9), most_runs=4)

    assert search.tried <= 4
    assert _has(found, 2, 9)


def test_nothing_is_run_twice() -> None:
    seen: list[str] = []

    def fails(schedule: Schedule) -> bool:
        seen.append(schedule.model_dump_json())
        return _has(schedule, 2, 9)

    search, _ = _search(fails)

    assert len(seen) == len(set(seen)) == search.tried


def test_what_fails_by_chance_only_is_not_kept() -> None:
    """Without fault 9 it fails each third time."""
    times = itertools.count()

    def fails(schedule: Schedule) -> bool:
        return _has(schedule, 2, 9) or (_has(schedule, 2) and next(times) % 3 == 0)

    _, found = _search(fails, confirmations=2)

    assert [planned.fault for planned in found.faults] == [FAULTS[2], FAULTS[9]]


def test_the_time_before_the_first_workflow_is_cut_off() -> None:
    late = SCHEDULE.model_copy(update={"orders": SCHEDULE.orders[-1:], "faults": ()})

    assert trim(late).orders[0].at_seconds == 0
    assert trim(late).duration_seconds < SCHEDULE.duration_seconds


def test_a_trimmed_schedule_is_trimmed() -> None:
    assert trim(trim(SCHEDULE)) == trim(SCHEDULE)

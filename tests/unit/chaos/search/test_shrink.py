"""The search for a shorter schedule, with a stand-in for the runs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from chaos.faults import Fault
from chaos.search.draw import Wishes, draw
from chaos.search.schedule import Schedule
from chaos.search.shrink import Shrinking, carried_out, trim
from tests.unit.chaos.search.guest import GUEST

SCHEDULE = draw(11, Wishes(duration_seconds=60, workflows=12), GUEST)
PARTS = SCHEDULE.faults
"""Two may be the same fault, at other times."""


def _search(
    fails: Callable[[Schedule], bool], most_runs: int = 500, confirmations: int = 0
) -> tuple[Shrinking, Schedule]:
    def run(schedules: Sequence[Schedule]) -> Sequence[bool]:
        return [fails(schedule) for schedule in schedules]

    search = Shrinking(most_runs=most_runs, at_once=2, confirmations=confirmations)
    return search, carried_out(search.steps(SCHEDULE), run)


def _has(schedule: Schedule, *numbers: int) -> bool:
    left = [(planned.fault, planned.lasting_seconds) for planned in schedule.faults]
    wanted = [(PARTS[number].fault, PARTS[number].lasting_seconds) for number in numbers]
    return all(each in left for each in wanted)


def _shown(schedule: Schedule) -> Sequence[Fault]:
    return [planned.fault for planned in schedule.faults]


def test_the_one_fault_that_matters_is_found() -> None:
    _, found = _search(lambda schedule: _has(schedule, 5))

    assert _shown(found) == [PARTS[5].fault]
    assert len(found.starts) == 1


def test_two_faults_that_matter_together_are_found() -> None:
    _, found = _search(lambda schedule: _has(schedule, 2, 10))

    assert _shown(found) == [PARTS[2].fault, PARTS[10].fault]


def test_the_workflow_that_matters_is_kept() -> None:
    wanted = SCHEDULE.starts[7].workflow_id
    _, found = _search(lambda schedule: wanted in {start.workflow_id for start in schedule.starts})

    assert [start.workflow_id for start in found.starts] == [wanted]


def test_a_failure_that_no_fault_causes_leaves_no_fault() -> None:
    _, found = _search(lambda _: True)

    assert found.faults == ()
    assert len(found.starts) == 1


def test_what_does_not_fail_again_stays_as_it_was() -> None:
    _, found = _search(lambda _: False)

    assert found.faults == SCHEDULE.faults
    assert found.starts == SCHEDULE.starts


def test_no_more_is_run_than_was_allowed() -> None:
    search, found = _search(lambda schedule: _has(schedule, 2, 10), most_runs=4)

    assert search.tried <= 4
    assert _has(found, 2, 10)


def test_nothing_is_run_twice() -> None:
    seen: list[str] = []

    def fails(schedule: Schedule) -> bool:
        seen.append(schedule.model_dump_json())
        return _has(schedule, 2, 10)

    search, _ = _search(fails)

    assert len(seen) == len(set(seen)) == search.tried


def test_what_fails_by_chance_only_is_not_kept() -> None:
    """Without fault 10 it fails each third time."""
    times = itertools.count()

    def fails(schedule: Schedule) -> bool:
        return _has(schedule, 2, 10) or (_has(schedule, 2) and next(times) % 3 == 0)

    _, found = _search(fails, confirmations=2)

    assert _shown(found) == [PARTS[2].fault, PARTS[10].fault]


def test_the_time_before_the_first_workflow_is_cut_off() -> None:
    late = SCHEDULE.model_copy(update={"starts": SCHEDULE.starts[-1:], "faults": ()})

    assert trim(late).starts[0].at_seconds == 0
    assert trim(late).duration_seconds < SCHEDULE.duration_seconds


def test_a_trimmed_schedule_is_trimmed() -> None:
    assert trim(trim(SCHEDULE)) == trim(SCHEDULE)

"""What is on record survives whatever ends the exploration, and nothing is tried in vain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chaos.invariants.verdict import Verdict
from chaos.search.explore.plan import Choice, Plan
from chaos.search.explore.state import MOST_ATTEMPTS, PLAN, RESULTS, Outcome, State, StateError
from chaos.wire.boundary import Boundary
from tests.unit.chaos.search.explore.kept import attempt_of, planned_hit

NAME = "single-activity-start_video-completing-1"
TASK = "single-workflow_task-SingleVideo-delivered-2"


@pytest.fixture
def state(tmp_path: Path, plan: Plan) -> Iterator[State]:
    with closing(State.begin(tmp_path)) as state:
        state.save_plan(plan.model_copy(update={"chosen": (NAME, TASK)}))
        yield state


def test_what_is_done_is_there_again(state: State) -> None:
    state.add(attempt_of(planned_hit(NAME)))
    state.close()

    with closing(State.open(state.folder)) as again:
        left = [outcome.planned.name for outcome in again.outcomes() if not outcome.is_done]

        assert again.attempts == [attempt_of(planned_hit(NAME))]
        assert left == [TASK]


def test_a_line_that_was_cut_off_is_as_if_never_written(state: State) -> None:
    state.add(attempt_of(planned_hit(NAME)))
    state.close()
    with (state.folder / RESULTS).open("ab") as file:
        file.write(b'{"crash_point": "single-ta')

    with closing(State.open(state.folder)) as again:
        again.add(attempt_of(planned_hit(TASK)))

    with closing(State.open(state.folder)) as last:
        assert [each.crash_point for each in last.attempts] == [NAME, TASK]


def test_a_try_that_was_broken_off_keeps_its_id(state: State) -> None:
    assert state.new_id(planned_hit(NAME)) == f"{NAME}-try-1"
    state.close()

    with closing(State.open(state.folder)) as again:
        assert again.new_id(planned_hit(NAME)) == f"{NAME}-try-2"


def test_two_processes_do_not_share_one(state: State) -> None:
    with pytest.raises(StateError, match="explored by another process"):
        State.open(state.folder)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="not the folder of an exploration"):
        State.open(tmp_path / "nothing")


def test_a_damaged_one_is_refused(state: State) -> None:
    state.close()
    (state.folder / RESULTS).write_text("{}\n")

    with pytest.raises(StateError, match="damaged"):
        State.open(state.folder)


def test_one_of_a_version_without_the_wire_is_refused(state: State) -> None:
    state.close()
    old = {"moment": {"actor": "task", "stage": "polled"}, "what": "", "points": []}
    plan = json.loads((state.folder / PLAN).read_text())
    plan["references"][0]["stops"] = [old]
    (state.folder / PLAN).write_text(json.dumps(plan))

    with pytest.raises(StateError, match="or of another version; start over with --fresh"):
        State.open(state.folder)


def test_the_newest_unfinished_of_the_same_choice_goes_on(state: State, plan: Plan) -> None:
    reports = state.folder.parent
    assert State.newest_unfinished(reports, plan.choice) is None  # it is open
    state.close()
    assert State.newest_unfinished(reports, Choice(specs=("single",), sample=3)) is None
    left = State.newest_unfinished(reports, plan.choice)
    assert left
    with closing(left):
        assert left.folder == state.folder
        for name in (NAME, TASK):
            left.add(attempt_of(planned_hit(name)))

    assert State.newest_unfinished(reports, plan.choice) is None


def test_boundaries_of_several_tries_count_together() -> None:
    planned = planned_hit(NAME)
    second = Boundary.parse("activity ship assigned")
    point = planned.point.model_copy(update={"boundaries": (*planned.point.boundaries, second)})
    both = planned.model_copy(update={"point": point})
    one, other = attempt_of(planned, 1), attempt_of(planned, 2, proven=(str(second),))

    assert Outcome(both, [one]).verdict is Verdict.UNKNOWN
    assert not Outcome(both, [one]).is_done
    assert Outcome(both, [one, other]).verdict is Verdict.PASSED


def test_what_a_busy_machine_left_open_is_shown_by_the_next_try() -> None:
    point = planned_hit(NAME)
    unknown = attempt_of(point, 1, verdict=Verdict.UNKNOWN)

    assert Outcome(point, [unknown]).verdict is Verdict.UNKNOWN
    assert Outcome(point, [unknown, attempt_of(point, 2)]).verdict is Verdict.PASSED


def test_a_boundary_that_is_never_hit_is_unknown_in_the_end() -> None:
    missed = [attempt_of(planned_hit(NAME), n, proven=()) for n in range(1, MOST_ATTEMPTS + 1)]
    outcome = Outcome(planned_hit(NAME), missed)

    assert outcome.is_done
    assert outcome.verdict is Verdict.UNKNOWN


def test_a_stop_that_no_run_comes_to_is_told_apart_from_one_that_was_not_proven() -> None:
    passing = [attempt_of(planned_hit(NAME), 1, proven=(), is_reached=False)]
    missing = [*passing, attempt_of(planned_hit(NAME), 2, proven=())]

    assert not Outcome(planned_hit(NAME), passing).is_reached
    assert not Outcome(planned_hit(NAME), passing).is_done
    assert Outcome(planned_hit(NAME), missing).is_reached


def test_a_failure_is_not_mended_by_another_try() -> None:
    planned = planned_hit(NAME)
    failed = attempt_of(planned, 1, verdict=Verdict.FAILED)

    assert Outcome(planned, [failed]).is_done
    assert Outcome(planned, [failed, attempt_of(planned, 2)]).verdict is Verdict.FAILED


def test_a_check_that_broke_is_no_pass() -> None:
    broken = attempt_of(planned_hit(NAME), 1, verdict=Verdict.UNKNOWN)

    assert Outcome(planned_hit(NAME), [broken]).verdict is Verdict.UNKNOWN

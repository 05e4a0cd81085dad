"""Which cases come next, by what was covered; asked again, the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from chaos.invariants.verdict import Verdict
from chaos.search.campaign import drawing, names, turns
from chaos.search.campaign.choose import choose
from chaos.search.campaign.drawing import read_stored
from chaos.search.campaign.model import (
    Batch,
    Campaign,
    CaseKind,
    CaseRef,
    Explore,
    Judged,
    Seeds,
    Turn,
    Work,
)
from chaos.search.campaign.planned import PlannedCase, next_planned
from chaos.search.campaign.plans import cases_of
from chaos.search.campaign.store import StoreError
from chaos.search.campaign.turns import Memory
from chaos.search.draw import Wishes, draw
from chaos.search.schedule import ScheduleError
from tests.unit.chaos.search.campaign.planned import EXPLORED
from tests.unit.chaos.search.campaign.stores import Kept
from tests.unit.chaos.search.campaign.system import TWICE, System, judged
from tests.unit.chaos.search.guest import GUEST

ENDLESS = Seeds(duration_seconds=5, workflows=2)


def _campaign(work: Work) -> Campaign:
    return Campaign(campaign_id="one", target="", code="c", evidence="e", work=work)


def _passed(cases: Sequence[CaseRef]) -> tuple[Judged, ...]:
    return tuple(Judged(name=case.name, verdict=Verdict.PASSED) for case in cases)


def _failed(case: str, broke: str = TWICE) -> Judged:
    return Judged(name=case, verdict=Verdict.FAILED, broke=broke)


def _turns(
    work: Work, store: Kept, judge: Callable[[Sequence[CaseRef]], Sequence[Judged]], most: int = 4
) -> Iterator[Batch]:
    """The batches of a campaign whose cases have all ended before the next turn."""
    told: Sequence[Judged] = ()
    for number in range(1, 1_000):
        turn = Turn(number=number, most=most, judged=tuple(told))
        batch = choose(_campaign(work), turn, store, GUEST)
        yield batch
        if batch.is_last:
            return
        told = judge(batch.cases)


def _planned(name: str, group: str, *cells: str, seconds: float = 20.0) -> PlannedCase:
    case = CaseRef(name=name, kind=CaseKind.POINT, about_seconds=seconds)
    return PlannedCase(case=case, group=group, cells=cells)


def _planned_turns(
    planned: Sequence[PlannedCase],
    judge: Callable[[Sequence[CaseRef]], Sequence[Judged]],
    most: int,
) -> Iterator[Batch]:
    memory = Memory()
    told: Sequence[Judged] = ()
    while not memory.batch.is_last:
        turn = Turn(number=memory.number + 1, most=most, judged=tuple(told))
        memory = next_planned(planned, most, memory.told(turn))
        yield memory.batch
        told = judge(memory.batch.cases)


def _names(batch: Batch) -> list[str]:
    return [case.name for case in batch.cases]


EXPLORE = Explore(specs=("order",))


def test_every_point_of_a_plan_comes_once() -> None:
    store, expected = Kept(), [each.ref for each in cases_of(EXPLORE, EXPLORED)]
    store.create(names.THE_PLAN, EXPLORED.model_dump_json().encode())

    batches = list(_turns(EXPLORE, store, _passed, most=7))

    found = [case for each in batches for case in each.cases]
    assert sorted(found, key=lambda case: case.name) == sorted(expected, key=lambda c: c.name)
    assert [each.is_last for each in batches][-2:] == [False, True]
    assert {each.total for each in batches} == {len(expected)}


def test_the_second_time_of_a_point_comes_when_all_were_hit_once() -> None:
    work, store = EXPLORE.model_copy(update={"times": 2}), Kept()
    store.create(names.THE_PLAN, EXPLORED.model_dump_json().encode())

    batches = list(_turns(work, store, lambda cases: _covering(cases, work)))

    found = [name for each in batches for name in _names(each)]
    half = len(found) // 2
    assert not [name for name in found[:half] if name.endswith("-time-2")]
    assert all(name.endswith("-time-2") for name in found[half:])


def _covering(cases: Sequence[CaseRef], work: Explore) -> Sequence[Judged]:
    """Each has hit all that it was to hit."""
    points = {each.ref.name: each.disturbance for each in cases_of(work, EXPLORED)}
    return [
        each.model_copy(
            update={
                "cells": tuple(f"kill at {b}" for b in points[each.name].point.boundaries),
            }
        )
        for each in _passed(cases)
    ]


def test_no_kind_comes_twice_before_each_came_once() -> None:
    planned = [_planned("a1", "a"), _planned("a2", "a"), _planned("b1", "b"), _planned("a3", "a")]

    turns = _planned_turns(planned, _passed, most=2)

    assert [_names(batch) for batch in turns] == [["a1", "b1"], ["a2", "a3"]]


def test_of_two_kinds_the_one_that_takes_longest_comes_first() -> None:
    planned = [_planned("short", "a"), _planned("long", "b", seconds=60)]

    assert _names(next(_planned_turns(planned, _passed, most=4))) == ["long", "short"]


def test_what_was_covered_meanwhile_comes_last() -> None:
    """By another case: a kill at one boundary may hit several."""
    planned = [
        _planned("first", "a", "kill|a"),
        _planned("covered", "b", "kill|b"),
        _planned("new", "b", "kill|c"),
    ]

    def judge(cases: Sequence[CaseRef]) -> Sequence[Judged]:
        return [each.model_copy(update={"cells": ("kill|a", "kill|b")}) for each in _passed(cases)]

    assert [_names(batch) for batch in _planned_turns(planned, judge, most=1)] == [
        ["first"],
        ["new"],
        ["covered"],
    ]


def test_a_turn_that_is_asked_again_answers_the_same() -> None:
    """Whatever it is asked: the batch is on record, and its cases may have begun."""
    store = Kept()
    first = choose(_campaign(ENDLESS), Turn(number=1, most=4), store, GUEST)
    before = dict(store.kept)

    assert choose(_campaign(ENDLESS), Turn(number=1, most=9), store, GUEST) == first
    assert store.kept == before


def test_a_turn_that_was_cut_off_before_it_was_on_record_is_taken_as_it_would_have_been() -> None:
    store = Kept()
    turn = Turn(number=1, most=4)
    first = choose(_campaign(ENDLESS), turn, store, GUEST)
    whole = dict(store.kept)
    del store.kept[names.turn(1)]

    assert choose(_campaign(ENDLESS), turn, store, GUEST) == first
    assert store.kept == whole


class Raced(Kept):
    """A store in which somebody else takes the first turn just before."""

    def create(self, name: str, data: bytes) -> bool:
        if name == names.turn(1):
            batch = Batch(cases=(CaseRef(name="seed_9", kind=CaseKind.SCHEDULE),))
            super().create(name, Memory(number=1, batch=batch).model_dump_json().encode())
        return super().create(name, data)


def test_of_two_who_take_a_turn_the_first_counts() -> None:
    batch = choose(_campaign(ENDLESS), Turn(number=1, most=4), Raced(), GUEST)

    assert _names(batch) == ["seed_9"]


def test_a_turn_needs_the_one_before() -> None:
    with pytest.raises(StoreError, match=r"turns/000001\.json is missing"):
        choose(_campaign(ENDLESS), Turn(number=2, most=4), Kept(), GUEST)


def test_a_damaged_turn_is_told() -> None:
    store = Kept()
    store.create(names.turn(1), b"{")

    with pytest.raises(StoreError, match="is damaged"):
        choose(_campaign(ENDLESS), Turn(number=2, most=4), store, GUEST)


def test_a_damaged_plan_is_told() -> None:
    store = Kept()
    store.create(names.THE_PLAN, b"{}")

    with pytest.raises(StoreError, match=r"plan\.json is damaged"):
        choose(_campaign(EXPLORE), Turn(number=1, most=4), store, GUEST)


def test_a_damaged_schedule_is_told() -> None:
    store = Kept()
    store.create(names.schedule("seed_1"), b"{}")

    with pytest.raises(StoreError, match="is no schedule"):
        read_stored(store, "seed_1")


def test_a_plan_that_is_not_there_is_told() -> None:
    with pytest.raises(StoreError, match=r"plan\.json is missing"):
        choose(_campaign(EXPLORE), Turn(number=1, most=4), Kept(), GUEST)


def test_each_seed_comes_once_and_is_what_run_would_draw() -> None:
    work, store = Seeds(first=3, last=8, duration_seconds=20, workflows=4), Kept()

    batches = list(_turns(work, store, _passed))

    found = [name for each in batches for name in _names(each)]
    assert found == [f"seed_{seed}" for seed in range(3, 9)]
    wishes = Wishes(duration_seconds=20, workflows=4)
    assert [read_stored(store, name) for name in found] == [
        draw(seed, wishes, GUEST) for seed in range(3, 9)
    ]
    assert batches[0].total == 6


def test_the_last_seeds_are_not_the_last_batch_while_one_may_fail() -> None:
    """What fails then is shrunk, before the campaign ends."""
    work = Seeds(first=1, last=3)

    def judge(cases: Sequence[CaseRef]) -> Sequence[Judged]:
        return [
            _failed(case.name)
            if case.name == "seed_3"
            else Judged(name=case.name, verdict=Verdict.PASSED)
            for case in cases
        ]

    batches = list(_turns(work, Kept(), judge))

    assert [_names(each) for each in batches] == [
        ["seed_1", "seed_2", "seed_3"],
        ["shrink-seed_3"],
    ]
    assert [each.total for each in batches] == [3, 4]
    assert batches[1].cases[0].kind is CaseKind.SHRINK


def test_a_seed_that_is_still_open_is_waited_for() -> None:
    store, work = Kept(), _campaign(Seeds(first=1, last=2))
    choose(work, Turn(number=1, most=4), store, GUEST)
    done = (Judged(name="seed_1", verdict=Verdict.PASSED),)

    second = choose(work, Turn(number=2, most=4, judged=done), store, GUEST)

    assert (second.cases, second.is_last) == ((), False)


def test_one_defect_is_shrunk_once() -> None:
    store, work = Kept(), _campaign(ENDLESS)
    choose(work, Turn(number=1, most=4), store, GUEST)
    other = f"{TWICE}; workflows_end_as_expected: * is lost"
    unsure = _failed("seed_4", "nobody: knows").model_copy(update={"verdict": Verdict.UNKNOWN})
    told = (_failed("seed_1"), _failed("seed_2"), _failed("seed_3", other), unsure)

    second = choose(work, Turn(number=2, most=4, judged=told), store, GUEST)
    third = choose(work, Turn(number=3, most=4, judged=(_failed("seed_4"),)), store, GUEST)

    shrunk = [name for name in _names(second) if name.startswith("shrink-")]
    assert shrunk == ["shrink-seed_1", "shrink-seed_3"]
    assert not [name for name in _names(third) if name.startswith("shrink-")]


def test_more_failures_than_there_is_room_for_are_shrunk_later() -> None:
    store, work = Kept(), _campaign(ENDLESS)
    choose(work, Turn(number=1, most=4), store, GUEST)
    told = (_failed("seed_1"), _failed("seed_2", "another: way to break"))

    second = choose(work, Turn(number=2, most=1, judged=told), store, GUEST)
    third = choose(work, Turn(number=3, most=1), store, GUEST)

    assert [_names(second), _names(third)] == [["shrink-seed_1"], ["shrink-seed_2"]]


def test_what_was_made_from_another_is_one_of_its_own() -> None:
    """Another name, other faults; and it is a schedule that a file can hold."""
    store = Kept()

    def judge(cases: Sequence[CaseRef]) -> Sequence[Judged]:
        return judged([read_stored(store, c.name) for c in cases if c.kind is CaseKind.SCHEDULE])

    turns = _turns(ENDLESS, store, judge)
    found = [name for _, batch in zip(range(12), turns, strict=False) for name in _names(batch)]

    schedules = [read_stored(store, name) for name in found if not name.startswith("shrink-")]
    made = [each for each in schedules if each.part is not None]
    assert len(found) == len(set(found))
    assert made
    after = schedules[schedules.index(made[0]) :]
    assert any(each.part is None for each in after), "some are drawn all the same"
    drawn = {each.name: each for each in schedules if each.part is None}
    assert all(each.faults != drawn[f"seed_{each.seed}"].faults for each in made if each.part == 1)


@pytest.mark.parametrize("what", ["cells", "shapes"])
def test_what_has_passed_and_covered_something_new_is_gone_on_from(what: str) -> None:
    passed = Judged(name="first", verdict=Verdict.PASSED).model_copy(update={what: ("one",)})
    told = (
        passed,
        passed.model_copy(update={"name": "covers the same"}),
        _failed("failed").model_copy(update={what: ("two",)}),
    )
    memory = Memory().told(Turn(number=1, most=1, judged=told))

    assert [each.case for each in memory.sources] == ["first"]


def test_what_was_gone_on_from_most_often_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MOST_KEPT", 2)
    a, b, c = (
        Judged(name=name, verdict=Verdict.PASSED, shapes=(name,)) for name in ("a", "b", "c")
    )
    memory = Memory().told(Turn(number=1, most=1, judged=(a, b))).used(["a", "b", "b"])
    memory = memory.told(Turn(number=2, most=1, judged=(c,)))

    assert [each.case for each in memory.sources] == ["a", "c"]


def test_of_a_schedule_that_has_shown_something_each_fault_comes_twice_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drawing, "FRESH", 0.0)
    monkeypatch.setattr(drawing, "LOOKED_AT", 1)
    store, work = Kept(), ENDLESS.model_copy(update={"families": ("wire",)})
    choose(_campaign(work), Turn(number=1, most=1), store, GUEST)
    new = Judged(name="seed_1", verdict=Verdict.PASSED, shapes=("new",))
    second = Turn(number=2, most=1, judged=(new,))
    (made,) = choose(_campaign(work), second, store, GUEST).cases

    source, faults = read_stored(store, "seed_1"), read_stored(store, made.name).faults
    first = source.faults[0].fault
    assert len(faults) == len(source.faults) + 1
    assert sum(each.fault == first for each in faults) == 2


def test_fresh_draws_have_each_kind_of_fault_sooner_than_seeds_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def kinds_of(first_draws: int) -> set[str]:
        batch = choose(_campaign(ENDLESS), Turn(number=1, most=first_draws), store := Kept(), GUEST)
        schedules = [read_stored(store, case.name) for case in batch.cases]
        return {kind for schedule in schedules for kind in drawing.kinds_of(schedule)}

    novel = kinds_of(16)
    monkeypatch.setattr(drawing, "LOOKED_AT", 1)

    assert len(novel) > 1.3 * len(kinds_of(16))


def test_a_target_without_workflows_is_told() -> None:
    with pytest.raises(ScheduleError, match="has no specs"):
        choose(_campaign(ENDLESS), Turn(number=1, most=1), Kept(), replace(GUEST, specs={}))


def test_two_faults_in_a_row_are_found_far_sooner_than_by_drawing_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The middle of several campaigns each. No single fault breaks the system."""
    learning = sorted(map(_cases_until_it_breaks, range(1, 10)))[4]
    monkeypatch.setattr(drawing, "FRESH", 1.0)
    drawn = sorted(map(_cases_until_it_breaks, range(1, 10)))[4]

    assert learning * 3 < drawn
    assert learning < 100


def _cases_until_it_breaks(campaign: int) -> int:
    store, tried = Kept(), 0
    work = ENDLESS.model_copy(update={"first": campaign * 1000})

    def judge(cases: Sequence[CaseRef]) -> Sequence[Judged]:
        return judged([read_stored(store, case.name) for case in cases])

    for batch in _turns(work, store, judge):
        if any(case.kind is CaseKind.SHRINK for case in batch.cases) or tried > 400:
            return tried
        tried += len(batch.cases)
    raise AssertionError("it is endless")


def test_the_system_of_these_tests_survives_any_single_fault() -> None:
    """Else nothing above would need two."""
    for seed in range(300):
        schedule = draw(seed, Wishes(duration_seconds=5, workflows=2), GUEST)
        for fault in schedule.faults:
            single = schedule.model_copy(update={"faults": (fault,)})
            assert System(single).judged().verdict is not Verdict.FAILED

"""A schedule with one thing changed is a schedule, and differs in its faults."""

from __future__ import annotations

import random

import pytest

from chaos.environment.target import Target
from chaos.faults import AtBoundary
from chaos.search.campaign.mutation import MORE, Mutation
from chaos.search.draw import Wishes, draw
from chaos.search.schedule import Planned, Schedule, require_no_commands
from chaos.search.seeded import seeded
from tests.unit.chaos.search.guest import GUEST, PLAIN, SUPERVISED

WISHES = Wishes(duration_seconds=10, workflows=3)
SEEDS = range(150)
FIRST = AtBoundary.model_validate(
    {"type": "at_boundary", "boundary": "call * answered 1", "action": "drop"}
)


def _changed(seed: int, target: Target = GUEST) -> tuple[Schedule, Schedule]:
    of, other = draw(seed, WISHES, target), draw(seed + 1_000, WISHES, target)
    dice = random.Random(seed)  # noqa: S311 - no secret
    activities = ("charge_card",)
    return of, Mutation(of, other, dice=dice, target=target, activities=activities).schedule()


@pytest.mark.parametrize("target", [PLAIN, GUEST, SUPERVISED])
def test_it_is_a_schedule_that_can_be_run(target: Target) -> None:
    for seed in SEEDS:
        _, changed = _changed(seed, target)
        read = Schedule.model_validate_json(changed.model_dump_json(by_alias=True))
        assert read.faults == changed.faults
        require_no_commands([read])
        assert seeded([read], target).cases


def test_only_its_faults_differ() -> None:
    for seed in SEEDS:
        of, changed = _changed(seed)
        assert changed.faults != of.faults
        assert changed.starts == of.starts
        assert changed.duration_seconds == of.duration_seconds
        assert len(changed.faults) <= max(MORE * len(of.faults), MORE * 4)


def test_the_same_chance_gives_the_same() -> None:
    assert [_changed(seed)[1] for seed in SEEDS] == [_changed(seed)[1] for seed in SEEDS]


def test_all_faults_of_a_schedule_are_faults_of_their_own() -> None:
    """Each remembers what it did: one that comes twice is two."""
    for seed in SEEDS:
        faults = [id(planned.fault) for planned in _changed(seed)[1].faults]
        assert len(faults) == len(set(faults))


def test_two_of_the_same_come_about() -> None:
    """At a boundary, one after the other."""
    alone = Planned(at_seconds=0, lasting_seconds=0, fault=FIRST)
    of = draw(1, WISHES, GUEST).model_copy(update={"faults": (alone,)})
    dice = random.Random(1)  # noqa: S311 - no secret

    found = [Mutation(of, of, dice=dice, target=GUEST).schedule().faults for _ in range(50)]

    assert (alone, alone) in found


def test_each_fault_of_a_schedule_can_come_twice() -> None:
    """But one of the target's own, which is of one workflow."""
    for seed in SEEDS:
        of = draw(seed, WISHES, GUEST)
        mutation = Mutation(of, of, dice=random.Random(seed), target=GUEST)  # noqa: S311 - no secret
        for place, planned in enumerate(of.faults):
            again = mutation.repeated(place)
            if planned.fault.family in GUEST.draws:
                assert again is None
            elif again:
                known = [each.fault for each in again.faults]
                assert known.count(planned.fault) > [p.fault for p in of.faults].count(
                    planned.fault
                )
        assert mutation.repeated(len(of.faults)) is None


def test_an_activity_that_was_met_is_aimed_at() -> None:
    found = {
        str(planned.fault.boundary.subject)
        for seed in SEEDS
        for planned in _changed(seed)[1].faults
        if isinstance(planned.fault, AtBoundary)
    }

    assert found == {"*", "charge_card"}


def test_a_schedule_without_faults_gets_one() -> None:
    of = draw(1, WISHES, GUEST).model_copy(update={"faults": ()})
    dice = random.Random(1)  # noqa: S311 - no secret

    assert len(Mutation(of, of, dice=dice, target=GUEST).schedule().faults) == 1


def test_a_fault_of_the_targets_own_comes_once_for_its_workflow() -> None:
    """It is about one workflow, and another schedule has others."""
    for seed in SEEDS:
        own = [p.fault for p in _changed(seed)[1].faults if p.fault.family in GUEST.draws]
        assert len(own) == len({fault.model_dump_json() for fault in own})

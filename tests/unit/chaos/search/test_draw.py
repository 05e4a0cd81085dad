from __future__ import annotations

import inspect
from itertools import pairwise

import pytest

from chaos.faults import BadNetwork, Family, KillWorker
from chaos.search.carry_out import experiment_of
from chaos.search.draw import LAST_START, REST_SECONDS, Wishes, draw
from chaos.search.schedule import Planned
from tests.chaos.video.faults import BadApi

SEEDS = range(40)


def _families(faults: tuple[Planned, ...]) -> set[Family]:
    return {planned.fault.family for planned in faults}


def test_a_seed_gives_the_same_schedule_each_time() -> None:
    assert draw(7, Wishes()) == draw(7, Wishes())


def test_another_seed_gives_another_schedule() -> None:
    assert len({draw(seed, Wishes()).model_dump_json() for seed in SEEDS}) == len(SEEDS)


def test_the_wishes_are_kept() -> None:
    schedule = draw(3, Wishes((Family.KILL,), duration_seconds=20, workflows=4))

    assert _families(schedule.faults) == {Family.KILL}
    assert len(schedule.orders) == 4
    assert schedule.duration_seconds == 20


def test_all_families_are_drawn_over_many_seeds() -> None:
    drawn = set().union(*(_families(draw(seed, Wishes()).faults) for seed in SEEDS))

    assert drawn == set(Family)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_fault_ends_within_the_duration(seed: int) -> None:
    schedule = draw(seed, Wishes(duration_seconds=30))

    assert schedule.faults
    assert all(planned.ends_at_seconds <= 30.001 for planned in schedule.faults)
    assert schedule.orders[0].at_seconds == 0
    assert all(order.at_seconds <= 30 * LAST_START for order in schedule.orders)


@pytest.mark.parametrize("seed", SEEDS)
def test_faults_of_one_link_or_server_never_overlap(seed: int) -> None:
    faults = draw(seed, Wishes()).faults
    for target in {planned.fault.target for planned in faults}:
        here = [
            planned
            for planned in faults
            if planned.fault.target == target
            and planned.fault.family in {Family.NETWORK, Family.SERVER}
        ]
        assert all(a.ends_at_seconds + REST_SECONDS <= b.at_seconds for a, b in pairwise(here))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_provider_never_lies(seed: int) -> None:
    """It does not bill what it says that it has not accepted, which no client could survive."""
    rules = [p.fault.rule for p in draw(seed, Wishes()).faults if isinstance(p.fault, BadApi)]

    assert not [
        rule
        for rule in rules
        if rule.kind == "status" and rule.when == "after_billing" and rule.status in {429, 503}
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_each_toxic_has_a_name_of_its_own(seed: int) -> None:
    names = [
        planned.fault.toxic.known_as
        for planned in draw(seed, Wishes()).faults
        if isinstance(planned.fault, BadNetwork)
    ]

    assert len(names) == len(set(names))


def test_two_experiments_of_a_schedule_do_not_share_what_their_faults_remember() -> None:
    schedule = draw(1, Wishes((Family.API,)))
    faults = [
        vars(inspect.getclosurevars(experiment_of(schedule)).nonlocals["schedule"])["faults"]
        for _ in range(2)
    ]

    assert faults[0] == faults[1]
    assert faults[0][0].fault is not faults[1][0].fault


def test_a_kill_takes_no_time() -> None:
    faults = draw(1, Wishes((Family.KILL,))).faults

    assert {p.lasting_seconds for p in faults if isinstance(p.fault, KillWorker)} == {0}

from __future__ import annotations

import inspect
from collections.abc import Sequence
from itertools import pairwise

import pytest

from chaos.environment.target import Target
from chaos.faults import AtBoundary, BadNetwork, Family, KillWorker, PauseWorker, ServiceDown
from chaos.faults.process import OnWorker
from chaos.search.carry_out import experiment_of
from chaos.search.draw import LAST_START, REST_SECONDS, Wishes, draw, families_of
from chaos.search.schedule import Planned, ScheduleError
from chaos.search.seeded import seeded
from chaos.wire.boundary import Kind, Stage
from tests.chaos.video.faults import BadApi
from tests.chaos.video.target import VIDEO
from tests.unit.chaos.search.guest import GUEST, PLAIN, SUPERVISED

SEEDS = range(40)
TARGETS = pytest.mark.parametrize("target", [PLAIN, GUEST, SUPERVISED, VIDEO], ids=range(4))


def _drawn(target: Target, wishes: Wishes | None = None) -> Sequence[Planned]:
    """The faults of all seeds."""
    return [p for seed in SEEDS for p in draw(seed, wishes or Wishes(), target).faults]


@TARGETS
def test_a_seed_gives_the_same_schedule_each_time(target: Target) -> None:
    assert draw(7, Wishes(), target) == draw(7, Wishes(), target)


def test_another_seed_gives_another_schedule() -> None:
    drawn = {draw(seed, Wishes(), GUEST).model_dump_json() for seed in SEEDS}

    assert len(drawn) == len(SEEDS)


def test_the_wishes_are_kept() -> None:
    wishes = Wishes((Family.KILL,), duration_seconds=20, workflows=4)
    schedule = draw(3, wishes, GUEST)

    assert {planned.fault.family for planned in schedule.faults} == {"kill"}
    assert schedule.families == ("kill",)
    assert len(schedule.starts) == 4
    assert schedule.duration_seconds == 20


@pytest.mark.parametrize(
    ("target", "families"),
    [
        (PLAIN, {"kill", "network", "server", "wire"}),
        (GUEST, {"kill", "network", "server", "service", "wire", "refusal"}),
        (VIDEO, {"kill", "network", "server", "wire", "api"}),
    ],
    ids=["plain", "guest", "video"],
)
def test_all_that_can_break_of_a_target_is_drawn(target: Target, families: set[str]) -> None:
    assert set(families_of(target)) == families
    drawn = {family for seed in SEEDS for family in draw(seed, Wishes(), target).families}
    assert drawn == families
    if target is not GUEST:  # whose own faults are those of another family, see `guest.py`
        assert {planned.fault.family for planned in _drawn(target)} == families


def test_all_specs_of_a_target_are_drawn() -> None:
    starts = [start for seed in SEEDS for start in draw(seed, Wishes(), GUEST).starts]

    assert {start.spec for start in starts} == {"order", "large_order"}


def test_a_family_that_the_target_has_not_is_told() -> None:
    with pytest.raises(
        ScheduleError, match=r"no faults 'api'; it has kill, network, server, wire\.$"
    ):
        draw(1, Wishes(("api",)), PLAIN)


def test_a_target_without_workflows_is_told() -> None:
    with pytest.raises(ScheduleError, match="has no specs"):
        draw(1, Wishes(), Target(worker=("x",), task_queue="x"))


def test_workers_are_named_where_the_harness_keeps_them() -> None:
    kept = [p.fault for p in _drawn(GUEST) if isinstance(p.fault, OnWorker)]
    supervised = [p.fault for p in _drawn(SUPERVISED) if isinstance(p.fault, OnWorker)]

    assert {fault.target for fault in kept} == {"worker-1", "worker-2", "worker-3"}
    assert {fault.target for fault in supervised} == {"fleet-1-worker"}
    assert {fault.place for fault in supervised} == {0, 1, 2}
    assert {type(fault) for fault in kept} == {KillWorker, PauseWorker}


@TARGETS
def test_at_a_boundary_no_more_calls_are_waited_for_than_will_come(
    target: Target,
) -> None:
    """Each workflow has a task and an activity at least."""
    for seed in SEEDS:
        schedule = draw(seed, Wishes((Family.WIRE,), workflows=3), target)
        assert schedule.is_on_wire
        for planned in schedule.faults:
            fault = planned.fault
            assert isinstance(fault, AtBoundary)
            to_come = [s for s in schedule.starts if s.at_seconds >= planned.at_seconds]
            assert 1 <= fault.boundary.ordinal <= len(to_come)
            assert planned.at_seconds in {start.at_seconds for start in schedule.starts}


def _boundaries(target: Target) -> Sequence[AtBoundary]:
    drawn = _drawn(target, Wishes((Family.WIRE,)))
    return [p.fault for p in drawn if isinstance(p.fault, AtBoundary)]


def test_all_that_may_become_of_a_call_is_drawn_at_each_kind_of_boundary() -> None:
    drawn: dict[Kind, set[str]] = {}
    for fault in _boundaries(GUEST):
        drawn.setdefault(fault.boundary.kind, set()).add(fault.kind)

    every = {"kill", "pause", "drop", "fail", "delay"}
    assert drawn == {Kind.WORKFLOW_TASK: every, Kind.ACTIVITY: every, Kind.CALL: every}


def test_without_a_service_over_http_no_call_is_waited_for() -> None:
    assert Kind.CALL not in {fault.boundary.kind for fault in _boundaries(PLAIN)}


def test_no_service_says_of_what_it_did_that_it_has_not_accepted_it() -> None:
    said = {(f.boundary.stage, f.action) for f in _boundaries(GUEST) if "fail:5" in f.action}

    assert said == {(Stage.LEAVING, "fail:503"), (Stage.ANSWERED, "fail:502")}


@TARGETS
def test_without_a_fault_at_a_boundary_nobody_is_on_the_wire(target: Target) -> None:
    schedule = draw(1, Wishes((Family.KILL, Family.NETWORK)), target)
    (without,) = seeded([schedule], target).cases
    (with_them,) = seeded([draw(1, Wishes((Family.WIRE,)), target)], target).cases

    assert not without.stack.wire
    assert with_them.stack.wire


def test_of_the_families_that_there_were_a_seed_draws_what_it_drew_by_schema_2() -> None:
    wishes = Wishes(("kill", "network", "server"), duration_seconds=10, workflows=3)
    schedule = draw(1, wishes, PLAIN)

    assert [f"{p.at_seconds} {p.fault.kind} {p.fault.target}" for p in schedule.faults] == [
        "1.13 kill worker-1",
        "3.34 down fleet-1>server",
    ]


def test_only_a_service_that_may_die_is_killed() -> None:
    faults = [p.fault for p in _drawn(GUEST, Wishes((Family.SERVICE,)))]

    assert {f.service for f in faults if isinstance(f, ServiceDown)} == {"payments"}


def test_every_service_and_the_server_may_be_far_away() -> None:
    links = {p.fault.link for p in _drawn(GUEST) if isinstance(p.fault, BadNetwork)}

    assert links == {"fleet-1>server", "fleet-1>payments", "fleet-1>carrier"}


def test_a_fault_of_the_targets_own_meets_a_workflow_from_its_start_to_the_end() -> None:
    schedule = draw(3, Wishes(("refusal",)), GUEST)
    starts = {start.workflow_id: start.at_seconds for start in schedule.starts}

    assert schedule.faults
    for planned in schedule.faults:
        assert planned.at_seconds == starts[planned.fault.target.rpartition(" ")[2]]
        assert planned.ends_at_seconds == pytest.approx(schedule.duration_seconds)


@TARGETS
@pytest.mark.parametrize("seed", SEEDS)
def test_every_fault_ends_within_the_duration(seed: int, target: Target) -> None:
    schedule = draw(seed, Wishes(duration_seconds=30), target)

    assert schedule.faults
    assert all(planned.ends_at_seconds <= 30.001 for planned in schedule.faults)
    assert schedule.starts[0].at_seconds == 0
    assert all(start.at_seconds <= 30 * LAST_START for start in schedule.starts)


@pytest.mark.parametrize("seed", SEEDS)
def test_faults_of_one_link_server_or_service_never_overlap(seed: int) -> None:
    alone = {Family.NETWORK, Family.SERVER, Family.SERVICE}
    faults = [p for p in draw(seed, Wishes(), GUEST).faults if p.fault.family in alone]
    for target in {planned.fault.target for planned in faults}:
        here = [planned for planned in faults if planned.fault.target == target]
        assert all(a.ends_at_seconds + REST_SECONDS <= b.at_seconds for a, b in pairwise(here))


def test_the_provider_of_videos_never_lies() -> None:
    """It does not bill what it says that it has not accepted, which no client could survive."""
    rules = [p.fault.rule for p in _drawn(VIDEO) if isinstance(p.fault, BadApi)]

    assert rules
    assert not [
        rule
        for rule in rules
        if rule.kind == "status" and rule.when == "after_billing" and rule.status in {429, 503}
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_each_toxic_has_a_name_of_its_own(seed: int) -> None:
    names = [
        planned.fault.toxic.known_as
        for planned in draw(seed, Wishes(), GUEST).faults
        if isinstance(planned.fault, BadNetwork)
    ]

    assert len(names) == len(set(names))


def test_two_experiments_of_a_schedule_do_not_share_what_their_faults_remember() -> None:
    schedule = draw(1, Wishes((Family.KILL,)), GUEST)
    faults = [
        vars(inspect.getclosurevars(experiment_of(schedule)).nonlocals["schedule"])["faults"]
        for _ in range(2)
    ]

    assert faults[0] == faults[1]
    assert faults[0][0].fault is not faults[1][0].fault


def test_a_kill_takes_no_time() -> None:
    faults = _drawn(GUEST, Wishes((Family.KILL,)))

    assert {p.lasting_seconds for p in faults if isinstance(p.fault, KillWorker)} == {0}

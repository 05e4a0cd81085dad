"""What is chosen, and what may be paid for twice."""

from __future__ import annotations

from collections import Counter

from chaos.search.explore.plan import Choice, Plan


def sample(plan: Plan, size: int, seed: int = 0) -> Plan:
    choice = Choice(specs=("single",), sample=size, seed=seed)
    return Plan.of(choice, plan.references)


def test_without_a_sample_all_is_chosen(plan: Plan) -> None:
    assert len(plan.crash_points) == len(plan.everything) == 55


def test_a_sample_has_one_of_each_kind_before_any_kind_has_two(plan: Plan) -> None:
    kinds = {each.stop.kind for each in plan.everything}

    counted = Counter(each.stop.kind for each in sample(plan, len(kinds)).crash_points)

    assert counted == Counter(kinds)


def test_the_seed_alone_decides(plan: Plan) -> None:
    assert sample(plan, 12, 1).chosen == sample(plan, 12, 1).chosen
    assert sample(plan, 12, 1).chosen != sample(plan, 12, 2).chosen


def test_a_sample_may_be_larger_than_all(plan: Plan) -> None:
    assert len(sample(plan, 1000).crash_points) == 55

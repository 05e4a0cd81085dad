"""A plan as data: which case each of its points is."""

from __future__ import annotations

import pytest

from chaos.search.campaign.model import Explore, Probe
from chaos.search.campaign.plans import PLANNED, PlannedExplore, PlannedProbe, cases_of
from chaos.search.explore.plan import slow_first
from tests.unit.chaos.search.campaign.planned import EXPLORED, PROBED
from tests.unit.chaos.search.explore.kept import PLAN

EXPLORE = Explore(specs=("single",))
PROBE = Probe(spec="order")


@pytest.mark.parametrize("planned", [EXPLORED, PROBED], ids=lambda planned: planned.kind)
def test_it_is_read_as_it_was_written(planned: PlannedExplore | PlannedProbe) -> None:
    assert PLANNED.validate_json(planned.model_dump_json()) == planned


def test_each_chosen_point_is_a_case_and_the_slow_ones_are_first() -> None:
    cases = cases_of(EXPLORE, EXPLORED)

    assert sorted(case.ref.name for case in cases) == sorted(PLAN.chosen)
    assert [case.disturbance for case in cases] == sorted(PLAN.hits, key=slow_first)
    assert cases[0].ref.about_seconds > cases[-1].ref.about_seconds


def test_a_point_that_is_hit_several_times_is_a_case_each_time() -> None:
    cases = cases_of(EXPLORE.model_copy(update={"times": 3}), EXPLORED)

    assert len({case.ref.name for case in cases}) == len(cases) == 3 * len(PLAN.chosen)
    assert {case.disturbance.name for case in cases} == {each.name for each in PLAN.hits}


def test_a_probe_has_a_case_for_each_of_its_points() -> None:
    cases = cases_of(PROBE, PROBED)

    assert [case.ref.name for case in cases] == [each.name for each in PROBED.plan.chosen]


@pytest.mark.parametrize("spec", ["große Bestellung", "../order", "x" * 400, ".order"])
def test_a_spec_may_be_called_anything(spec: str) -> None:
    reference = PLAN.references[0].model_copy(update={"spec": spec})
    plan = PLAN.model_copy(update={"references": (reference,)})
    all_chosen = plan.model_copy(update={"chosen": tuple(each.name for each in plan.everything)})
    names = [case.ref.name for case in cases_of(EXPLORE, PlannedExplore(plan=all_chosen))]

    assert len(set(names)) == len(plan.everything)
    assert all(name.isascii() and name[0].isalnum() and "/" not in name for name in names)
    assert max(map(len, names)) < 200

"""Each heading of the guide is a scenario of any target, or says what is missing."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from chaos import guide
from chaos.environment.target import Service, Target
from chaos.environment.versions import Version, Versions
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.lab import Options
from chaos.invariants.exits import no_unplanned_exit
from chaos.invariants.survival import replays_with

BARE = Target(worker=(sys.executable, "-m", "nothing"), task_queue="things")


def a_thing(workflow_id: str) -> WorkflowSpec:
    return WorkflowSpec(workflow_id=workflow_id, workflow_type="Thing")


ABLE = Target(worker=BARE.worker, task_queue=BARE.task_queue, specs={"thing": a_thing})
FULL = replace(
    ABLE,
    services=(Service(name="payments", argv=("payments",), variable="PAYMENTS_URL"),),
    versions=Versions(
        old=Version(settings={"V": "1"}, build_id="1"),
        new=Version(settings={"V": "2"}, build_id="2"),
        broken=Version(settings={"V": "3"}, build_id="3"),
        deployment="things",
    ),
)


def test_names_and_titles_are_different() -> None:
    assert len({heading.name for heading in guide.HEADINGS}) == len(guide.HEADINGS)
    assert len({heading.title for heading in guide.HEADINGS}) == len(guide.HEADINGS)


@pytest.mark.parametrize("heading", guide.HEADINGS, ids=lambda heading: heading.name)
def test_a_heading_says_what_a_target_lacks_in_a_sentence(heading: guide.Heading) -> None:
    missing = heading.why_not(BARE)

    assert missing
    assert not missing.endswith(".")
    assert (heading.why_not(ABLE) is None or heading.make is None) or "Target." in missing


def test_what_a_target_lacks_is_why_a_scenario_does_not_run() -> None:
    for scenario in guide.scenarios(BARE):
        assert all(case.needs() for case in scenario.cases)


def test_a_scenario_has_its_headings_name_title_and_place() -> None:
    found = {scenario.name: scenario for scenario in guide.scenarios(ABLE)}
    with_one = [heading for heading in guide.HEADINGS if heading.make]

    assert list(found) == [heading.scenario_name for heading in with_one]
    for number, heading in enumerate(guide.HEADINGS, start=1):
        if heading.make:
            made = found[heading.scenario_name]
            assert (made.title, made.number) == (heading.title, number)
            assert guide.is_of_the_guide(made.name)


def test_region_failover_has_none_and_says_why() -> None:
    (failover,) = (each for each in guide.HEADINGS if each.name == "region_failover")

    assert failover.make is None
    assert "Temporal Cloud" in str(failover.why_not(ABLE))


def test_every_case_has_proofs_and_the_targets_own_workload() -> None:
    for scenario in guide.scenarios(ABLE):
        for case in scenario.cases:
            if case.needs() is None:
                assert case.proofs
                assert {spec.workflow_type for spec in case.load(Options())} == {"Thing"}


def test_a_target_that_names_no_invariants_is_held_to_those_of_any_target() -> None:
    cases = [case for scenario in guide.scenarios(FULL) for case in scenario.cases]

    assert all(case.needs() is None for case in cases)
    for case in cases:
        names = [check.name for check in case.invariants]
        assert "workflows_end_as_expected" in names, case.name
        assert len(set(names)) == len(names), case.name


def test_no_worker_may_end_by_itself_where_the_guide_plans_no_mistake() -> None:
    for scenario in guide.scenarios(FULL):
        if scenario.name != "guide_deploy_nondeterministic":
            for case in scenario.cases:
                assert no_unplanned_exit in case.invariants, (scenario.name, case.name)


def test_an_invariant_that_was_made_with_a_list_is_taken_as_it_is() -> None:
    own = replays_with([str])
    held = replace(FULL, invariants=(own, no_unplanned_exit))

    for case in (case for scenario in guide.scenarios(held) for case in scenario.cases):
        assert [check.name for check in case.invariants].count(no_unplanned_exit.name) <= 1
    for scenario in guide.scenarios(held)[:2]:
        assert own in scenario.cases[0].invariants

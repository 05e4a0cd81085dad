"""Every scenario turns red when what it guards is broken: real runs of sabotaged workers."""

from __future__ import annotations

import pytest
import pytest_asyncio

from chaos.experiment.scenario import Scenario
from chaos.invariants.verdict import Verdict
from tests.chaos.video.scenarios.catalogue import all_scenarios
from tests.integration.breaks.all_breaks import BREAKS
from tests.integration.breaks.breaking import Break, Results, run_all
from tests.integration.breaks.sabotage import PLANTS
from tests.integration.chosen import chosen_values

ALL_OF_THEM_SECONDS = 900
"""The first test waits for the runs of all."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def results(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Results:
    """Every broken case that is asked for, run once for all checks that look at it."""
    chosen = chosen_values(request, "broken", Break)
    able = [broken for broken in chosen if broken.case.needs() is None]
    return await run_all(able, tmp_path_factory.mktemp("breaks"))


@pytest.mark.parametrize("scenario", all_scenarios(), ids=lambda s: s.name)
def test_every_scenario_has_a_break(scenario: Scenario) -> None:
    loads = [case.load for case in scenario.cases]

    assert [broken for broken in BREAKS if broken.case.load in loads]


def test_every_break_of_a_worker_is_planted_by_its_name() -> None:
    assert {broken.name for broken in BREAKS if broken.sabotage} <= PLANTS.keys()


@pytest.mark.nightly
@pytest.mark.sample(of_each_day=4)
@pytest.mark.timeout(ALL_OF_THEM_SECONDS)
@pytest.mark.parametrize("broken", BREAKS, ids=lambda b: f"{b.name}-{b.check}")
@pytest.mark.asyncio(loop_scope="module")
async def test_the_break_is_seen(broken: Break, results: Results) -> None:
    """The check that guards it says so, and the case does not pass."""
    if reason := broken.case.needs():
        pytest.skip(reason)
    result = results[broken.what_runs]
    seen = {check.check: check.verdict for check in result.checks}

    assert seen.get(broken.check) is broken.verdict, result.reason
    assert result.verdict is not Verdict.PASSED

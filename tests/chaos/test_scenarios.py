"""The scenarios. All that are chosen run side by side; each test waits for its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chaos.verdict import Verdict

if TYPE_CHECKING:
    from chaos.runner import Runner
    from chaos.scenarios import Scenario

# The first test may have to wait until the Temporal server is built from source.
FIRST_RUN_SECONDS = 30 * 60


@pytest.mark.chaos
@pytest.mark.timeout(FIRST_RUN_SECONDS)
def test_scenario(scenario: Scenario, chaos_runner: Runner) -> None:
    """The system survives the scenario's faults, and that they hit is proven.

    `chaos.plugin` says which there are.
    """
    if reason := chaos_runner.why_not_run(scenario):
        pytest.skip(reason)
    result = chaos_runner.result(scenario)
    assert result.verdict is Verdict.PASSED, result.reason

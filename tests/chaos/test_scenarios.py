"""The scenarios. All that are chosen run side by side; each test waits for its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from chaos.experiment.scenario import Scenario

# The first test may have to wait until the Temporal server is built from source.
FIRST_RUN_SECONDS = 30 * 60


@pytest.mark.chaos
@pytest.mark.timeout(FIRST_RUN_SECONDS)
def test_scenario(scenario: Scenario, survives: Callable[[Scenario], None]) -> None:
    """The system survives the scenario's faults, and that they hit is proven.

    `chaos.plugin` says which there are.
    """
    survives(scenario)

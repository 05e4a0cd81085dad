"""The hook by which a project's conftest has a say in what is run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from chaos.experiment.scenario import Scenario


@pytest.hookspec(firstresult=True)
def pytest_chaos_scenarios(
    config: pytest.Config, scenarios: Sequence[Scenario]
) -> Sequence[Scenario] | None:
    """Change what is about to be run: other targets, fewer cases, fewer scenarios.

    Called once, before anything is started, with all that were chosen. Scenarios keep their names:
    by these their tests find the results. None changes nothing; `pytest.UsageError` refuses.
    """

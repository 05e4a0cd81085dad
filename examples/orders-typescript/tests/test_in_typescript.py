"""An order is charged once and shipped once, whatever breaks meanwhile."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chaos import Scenario


@pytest.mark.chaos
def test_orders_survive(scenario: Scenario, survives: Callable[[Scenario], None]) -> None:
    """Each scenario of the shop, or what `--seed` draws; they run side by side."""
    survives(scenario)

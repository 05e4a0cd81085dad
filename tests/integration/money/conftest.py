"""Fixtures of the sweeps."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.integration.chosen import chosen_values
from tests.integration.money.boundaries import Point


@pytest.fixture(scope="module")
def chosen(request: pytest.FixtureRequest) -> Sequence[Point]:
    """The points of a sweep that are asked for; all `POINTS` of its module where none is."""
    everywhere: Sequence[Point] = request.module.POINTS
    return chosen_values(request, "point", Point) or everywhere

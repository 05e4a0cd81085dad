"""All scenarios, found by their files."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from functools import cache

from chaos.experiment.scenario import Scenario
from tests.chaos.video import scenarios


@cache
def all_scenarios() -> Sequence[Scenario]:
    """Every scenario in this folder, by number. A file's name must be its scenario's."""
    found = []
    for module in pkgutil.iter_modules(scenarios.__path__):
        if module.name == "catalogue":
            continue
        scenario = importlib.import_module(f"{scenarios.__name__}.{module.name}").SCENARIO
        if scenario.name != module.name:
            raise ValueError(f"the file {module.name}.py names its scenario {scenario.name!r}.")
        found.append(scenario)
    return tuple(sorted(found, key=lambda scenario: scenario.number))

"""The schedules that a user asked for by a seed, or by a run that had them."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.experiment.catalogue import target_of
from chaos.experiment.scenario import Scenario
from chaos.plugin import options
from chaos.plugin.given import value
from chaos.search.draw import Wishes, draw
from chaos.search.seeded import seeded, seeded_of


def seeded_for(config: pytest.Config, project: Path) -> Scenario:
    """All of them as one scenario of a project's target. Raises ScheduleError, CatalogueError."""
    target = target_of(project)
    if replay := value(config, "replay"):
        return seeded_of(replay, target)
    wishes = Wishes(
        families=value(config, "faults") or (),
        duration_seconds=value(config, "duration") or options.DEFAULT_DURATION_SECONDS,
        workflows=value(config, "workflows") or options.DEFAULT_SEEDED_WORKFLOWS,
    )
    return seeded([draw(seed, wishes, target) for seed in value(config, "seed")], target)

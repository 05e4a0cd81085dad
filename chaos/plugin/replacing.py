"""What a user asked for in place of a project's scenarios: the guide's, or schedules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from chaos import guide
from chaos.environment.target import Target
from chaos.experiment.catalogue import target_of
from chaos.experiment.scenario import Scenario
from chaos.plugin import options
from chaos.plugin.given import value
from chaos.search.draw import Wishes, draw
from chaos.search.seeded import seeded, seeded_of


def scenarios_for(config: pytest.Config, project: Path) -> Sequence[Scenario]:
    """All of them, of a project's first target. Raises ScheduleError, CatalogueError."""
    target = target_of(project)
    if value(config, "guide"):
        return guide.scenarios(target)
    return [_seeded(config, target)]


def _seeded(config: pytest.Config, target: Target) -> Scenario:
    """The schedules of a seed or of a run that had one, as one scenario."""
    if replay := value(config, "replay"):
        return seeded_of(replay, target)
    wishes = Wishes(
        families=value(config, "faults") or (),
        duration_seconds=value(config, "duration") or options.DEFAULT_DURATION_SECONDS,
        workflows=value(config, "workflows") or options.DEFAULT_SEEDED_WORKFLOWS,
    )
    return seeded([draw(seed, wishes, target) for seed in value(config, "seed")], target)

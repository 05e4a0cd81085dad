"""The same shop and the same scenarios with a worker in another language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from tests.shop import SHOP

from chaos import COMMON, SURVIVAL, Case, Scenario, Target, Versions


def worked_by(worker: Sequence[str], folder: Path, versions: Versions | None = None) -> Target:
    """The shop with a worker that this command line starts in a folder; it names its workflows and
    activities as the Python one does. `versions` are its builds, if there are several.
    """
    moved = replace(_moved(SHOP, worker, folder), versions=versions)
    return replace(moved, scenarios=partial(_scenarios, worker, folder))


def _scenarios(worker: Sequence[str], folder: Path) -> Sequence[Scenario]:
    return [
        replace(scenario, cases=[_case(case, worker, folder) for case in scenario.cases])
        for scenario in SHOP.scenarios()
    ]


def _case(case: Case, worker: Sequence[str], folder: Path) -> Case:
    return replace(case, target=_moved(case.target, worker, folder), invariants=COMMON)


def _moved(target: Target, worker: Sequence[str], folder: Path) -> Target:
    """Without the replay of its histories, for which Python would need the workflow's code, and
    without metrics, for which each SDK has options of its own. Nothing of Python is preloaded.
    """
    return replace(
        target,
        worker=worker,
        cwd=folder,
        preload=(),
        invariants=SURVIVAL,
        metrics=None,
        versions=None,
    )

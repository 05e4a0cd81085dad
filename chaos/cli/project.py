"""The project that a command is called in, by its `pyproject.toml`. It imports the project's
modules, so only a running command uses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chaos.cli import UnusableError
from chaos.environment.target import Target
from chaos.experiment.catalogue import (
    CatalogueError,
    find_modules_of,
    known_scenarios,
    project_of,
    required_targets,
    scenarios_of,
)
from chaos.experiment.scenario import Scenario


def targets_here() -> Sequence[Target]:
    """The targets of the project in the current folder. Raises UnusableError."""
    try:
        return required_targets(project_of(Path.cwd()))
    except CatalogueError as error:
        raise UnusableError(str(error)) from None


def scenarios_here(*, may_be_none: bool = False) -> Sequence[Scenario]:
    """The scenarios of these targets. Raises UnusableError."""
    try:
        project = project_of(Path.cwd())
        if may_be_none:
            return known_scenarios(required_targets(project))
        return scenarios_of(project)
    except CatalogueError as error:
        raise UnusableError(str(error)) from None


def folders_here() -> None:
    """Let modules be found from the project in the current folder. Raises UnusableError."""
    try:
        find_modules_of(project_of(Path.cwd()))
    except CatalogueError as error:
        raise UnusableError(str(error)) from None

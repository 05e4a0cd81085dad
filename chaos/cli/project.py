"""The project that a command is called in: what its `pyproject.toml` names is what it works with.

Imports the project's own modules: for commands only, when they are carried out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chaos.cli import UnusableError
from chaos.environment.target import Target
from chaos.experiment.catalogue import CatalogueError, project_of, required_targets


def targets_here() -> Sequence[Target]:
    """The targets of the project in the current folder. Raises UnusableError."""
    try:
        return required_targets(project_of(Path.cwd()))
    except CatalogueError as error:
        raise UnusableError(str(error)) from None

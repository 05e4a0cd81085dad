"""A project's targets and scenarios, as its `pyproject.toml` names them in `[tool.chaos]`."""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from chaos.environment.target import Target
from chaos.evidence.text import plain
from chaos.experiment.scenario import Scenario

_FILE = "pyproject.toml"


class CatalogueError(Exception):
    """A project's targets cannot be had. One sentence: what is wrong and what to do."""


def project_of(folder: Path) -> Path:
    """The project that a folder belongs to: the nearest one upwards with a `pyproject.toml`, of a
    monorepo's several the innermost; without any, the folder itself.
    """
    folder = folder.absolute()
    return next((each for each in (folder, *folder.parents) if (each / _FILE).is_file()), folder)


@cache
def targets_of(project: Path) -> Sequence[Target]:
    """Those that `[tool.chaos] targets` names as `module:attribute`; none without such a table.

    Modules are found from the project's folder as pytest finds them. Raises CatalogueError.
    """
    return [_target(name, project) for name in _names(project)]


def scenarios_of(project: Path) -> Sequence[Scenario]:
    """All scenarios of a project's targets. Raises CatalogueError."""
    return [scenario for target in targets_of(project) for scenario in target.scenarios()]


def target_of(project: Path) -> Target:
    """The one that is drawn from and explored: the first. Raises CatalogueError."""
    return required_targets(project)[0]


def required_targets(project: Path) -> Sequence[Target]:
    """Likewise all of them, where there is nothing to do without one. Raises CatalogueError."""
    if targets := targets_of(project):
        return targets
    raise CatalogueError(
        f"{project / _FILE} names no target: add a table [tool.chaos] with "
        'targets = ["module:attribute"], each a chaos.Target.'
    )


def _names(project: Path) -> Sequence[str]:
    file = project / _FILE
    try:
        read = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise CatalogueError(f"{file} cannot be read ({plain(str(error))}); mend it.") from None
    names = read.get("tool", {}).get("chaos", {}).get("targets", [])
    if not isinstance(names, list) or not all(isinstance(n, str) and ":" in n for n in names):
        raise CatalogueError(f'{file}: [tool.chaos] targets must be a list of "module:attribute".')
    return names


def _target(name: str, project: Path) -> Target:
    module, _, attribute = name.partition(":")
    if str(project) not in sys.path:
        sys.path.insert(0, str(project))
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        raise CatalogueError(
            f"the target {name!r} of [tool.chaos] cannot be imported ({plain(repr(error))})."
        ) from error
    if not isinstance(found, Target):
        raise CatalogueError(f"{name!r} of [tool.chaos] is no chaos.Target.")
    return found

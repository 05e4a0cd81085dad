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


class CatalogueError(Exception):
    """A project's targets cannot be had. One sentence: what is wrong and what to do."""


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
    targets = targets_of(project)
    if not targets:
        raise CatalogueError(
            f"{project / 'pyproject.toml'} names no target: add [tool.chaos] with "
            'targets = ["module:attribute"].'
        )
    return targets[0]


def _names(project: Path) -> Sequence[str]:
    file = project / "pyproject.toml"
    try:
        read = tomllib.loads(file.read_text(encoding="utf-8"))
        names = read.get("tool", {}).get("chaos", {}).get("targets", [])
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise CatalogueError(f"{file} cannot be read ({plain(str(error))}); mend it.") from None
    except AttributeError:  # one of them is no table
        names = None
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

"""A project's targets and scenarios, as its `pyproject.toml` names them in `[tool.chaos]`."""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from chaos.environment.target import Target
from chaos.evidence.text import plain
from chaos.experiment.scenario import Scenario, numbered
from chaos.process.child import nearest_project


class CatalogueError(Exception):
    """A project's targets cannot be loaded. One sentence: what is wrong and what to do."""


def project_of(folder: Path) -> Path:
    """The project that a folder belongs to: `project_above`, or else the nearest folder upwards
    with a `pyproject.toml`, or else the folder itself.
    """
    folder = folder.absolute()
    return project_above(folder) or nearest_project(folder)


@cache
def targets_of(project: Path) -> Sequence[Target]:
    """The targets that `[tool.chaos] targets` names as `module:attribute`; none without such a
    table.

    Modules are found from the project's folder and those of pytest's `pythonpath`. Raises
    CatalogueError.
    """
    return [target_named(name, project) for name in target_names(project)]


def known_scenarios(targets: Iterable[Target]) -> Sequence[Scenario]:
    """All scenarios of these targets, numbered in order. Raises CatalogueError."""
    return numbered(each for target in targets for each in _scenarios_in(target))


def scenarios_of(project: Path) -> Sequence[Scenario]:
    """The scenarios of a project's targets, at least one. Raises CatalogueError."""
    found = known_scenarios(required_targets(project))
    if not found:
        raise CatalogueError(
            f"no target of {project / 'pyproject.toml'} has scenarios: name them in "
            "Target.scenarios, or as SCENARIOS in the module of their test; run --guide and --seed "
            "need none, only Target.specs."
        )
    return found


def _scenarios_in(target: Target) -> Sequence[Scenario]:
    """The scenarios of one target. Raises CatalogueError."""
    try:
        return list(target.scenarios())
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise CatalogueError(
            f"a target's scenarios cannot be loaded ({plain(repr(error))})."
        ) from error


def target_of(project: Path) -> Target:
    """The first target, which seeds and explore use. Raises CatalogueError."""
    return required_targets(project)[0]


def required_targets(project: Path) -> Sequence[Target]:
    """All targets of a project. Raises CatalogueError, also where there is none."""
    if targets := targets_of(project):
        return targets
    raise CatalogueError(
        f"{project / 'pyproject.toml'} names no target: add a table [tool.chaos] with "
        'targets = ["module:attribute"], each a chaos.Target.'
    )


def project_above(folder: Path) -> Path | None:
    """The nearest project: the folder itself or one above it whose `pyproject.toml` has a table
    `[tool.chaos]`; None where there is none.
    """
    for each in (folder, *folder.parents):
        with suppress(CatalogueError):
            if _table(each / "pyproject.toml") is not None:
                return each
    return None


def _table(file: Path, *names: str) -> dict[str, Any] | None:
    """`[tool.chaos]` of a project, or another table of tools; None where it has none.

    Raises CatalogueError.
    """
    try:
        found: Any = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CatalogueError(f"{file} cannot be read ({plain(str(error))}); fix it.") from None
    path = ("tool", *(names or ("chaos",)))
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, dict | None):
        raise CatalogueError(f"{file}: [{'.'.join(path)}] must be a table.")
    return found


def _import_folders(project: Path) -> Sequence[str]:
    """The folders of its modules, the last first: pytest's `pythonpath`, and the project itself."""
    options = _table(project / "pyproject.toml", "pytest", "ini_options") or {}
    named = options.get("pythonpath", [])
    listed = named.split() if isinstance(named, str) else named
    return [*(str((project / each).resolve()) for each in reversed(listed)), str(project)]


def target_names(project: Path) -> Sequence[str]:
    """Those that `[tool.chaos] targets` names, each `module:attribute`. Raises CatalogueError."""
    file = project / "pyproject.toml"
    table = _table(file) or {}
    if unknown := sorted(set(table) - {"targets"}):
        raise CatalogueError(f"{file}: [tool.chaos] has no {unknown[0]!r}, only targets.")
    names = table.get("targets", [])
    if not isinstance(names, list) or not all(isinstance(n, str) and ":" in n for n in names):
        raise CatalogueError(f'{file}: [tool.chaos] targets must be a list of "module:attribute".')
    return names


def target_named(name: str, project: Path) -> Target:
    """The target that a project has as `module:attribute`. Raises CatalogueError."""
    module, _, attribute = name.partition(":")
    find_modules_of(project)
    try:
        found = object_named(module, attribute)
    except BaseException as error:  # a module may as well end the program
        if isinstance(error, KeyboardInterrupt):
            raise
        raise CatalogueError(
            f"the target {name!r} cannot be imported ({plain(repr(error))})."
        ) from error
    _require_its_own(module, project)
    if not isinstance(found, Target):
        raise CatalogueError(f"{name!r} is not a chaos.Target.")
    return found


def find_modules_of(project: Path) -> None:
    """Let modules be found from the project's folder and those of pytest's `pythonpath`. Raises
    CatalogueError.
    """
    for folder in _import_folders(project):
        if folder not in sys.path:
            sys.path.insert(0, folder)


def object_named(module: str, attribute: str) -> Any:
    """What a module has by that name. Raises whatever the import raises."""
    return getattr(importlib.import_module(module), attribute)


def _require_its_own(module: str, project: Path) -> None:
    """Two projects in one run may have modules of the same name; Python keeps only one. Raises
    CatalogueError.
    """
    path = project.joinpath(*module.split("."))
    own = next(filter(Path.is_file, (path.with_suffix(".py"), path / "__init__.py")), None)
    found = sys.modules[module].__file__
    if own and found and not own.samefile(found):
        raise CatalogueError(
            f"{own} is needed, and {found} is already imported under that name: run one project "
            "at a time, or rename the module."
        )

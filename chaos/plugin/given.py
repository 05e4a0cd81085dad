"""What was given for this run: on the command line, else in the project's ini file."""

from __future__ import annotations

import os
import shlex
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from chaos.evidence.numbers import quoted
from chaos.evidence.text import lines
from chaos.plugin.options import PREFIX, TOPOLOGIES, count

SPELLING: pytest.StashKey[str] = pytest.StashKey()
"""The prefix by which a user gives the options, where a project's conftest, or the program that
called pytest, has it shorter: such as `--`.
"""

_PATHS = ("reports", "replay", "temporal-cli", "temporal-server")


def _topology(text: str) -> str:
    if text not in TOPOLOGIES:
        raise ArgumentTypeError(f"must be one of {', '.join(TOPOLOGIES)}, not {quoted(text)}")
    return text


_READ: Mapping[str, tuple[Callable[[str], Any], str]] = {
    "topology": (_topology, "what Temporal is: dev, postgres or external"),
    "reports": (Path, "the folder where runs are kept"),
    "temporal_cli": (Path, "the `temporal` program to use"),
    "workflows": (count, "workflows in a scenario of load, or in each seeded schedule"),
}
"""What a project may set for all its runs, beside `plain`."""


def add_ini_keys(parser: pytest.Parser) -> None:
    """Declare them: `chaos_topology` and so on."""
    for name, (_, what) in _READ.items():
        parser.addini(f"chaos_{name}", f"as {_long(name)}: {what}", default="")
    parser.addini("chaos_plain", f"as {_long('plain')}: no live view", type="bool", default=False)


def value(config: pytest.Config, name: str) -> Any:
    """Of an option such as `temporal_cli`; None where nobody gave one. Raises UsageError."""
    given = config.getoption(f"chaos_{name}")
    if given is None and name in _READ:
        return _from_ini(config, name)
    if given is None and name == "plain":
        return config.getini("chaos_plain")
    return given


def refusal(config: pytest.Config, sentence: str) -> pytest.UsageError:
    """A usage error that names the options as this project spells them."""
    prefix = config.stash.get(SPELLING, PREFIX)
    return pytest.UsageError("\n".join(lines(sentence.replace(PREFIX, prefix))))


def require_no_stray_path(config: pytest.Config) -> None:
    """Refuse a path after a space: before plugins are loaded, pytest takes it for a place of tests,
    and so for a hint where the project is. Raises UsageError.
    """
    added = shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))
    typed = [*added, *map(str, config.invocation_params.args)]
    for option, path in pairwise(typed):
        name = option.removeprefix(PREFIX).removeprefix(config.stash.get(SPELLING, PREFIX))
        if name in _PATHS and option != name and (config.invocation_params.dir / path).exists():
            raise refusal(
                config,
                f"write {PREFIX}{name}={path}, with =: pytest takes an argument of its own for a "
                "folder of tests, and would look for the project there.",
            )


def _from_ini(config: pytest.Config, name: str) -> Any:
    text = str(config.getini(f"chaos_{name}"))
    if not text:
        return None
    try:
        read = _READ[name][0](text)
    except ArgumentTypeError as error:
        raise pytest.UsageError(f"{config.inipath}: chaos_{name} {error}") from None
    beside = config.inipath.parent if config.inipath else config.rootpath
    return beside / read if isinstance(read, Path) else read


def _long(name: str) -> str:
    return f"{PREFIX}{name.replace('_', '-')}"

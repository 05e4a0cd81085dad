"""`explore`: a kill at each boundary of a workflow."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from chaos.cli import Commands

_NAME = "explore"


def add(commands: Commands) -> None:
    """Make it known. All that follows its name is read by the explorer itself, `--help` too."""
    parser = commands.add_parser(_NAME, help="kill a worker at each boundary of a workflow")
    parser.set_defaults(command=_explore)


def split(arguments: Sequence[str]) -> tuple[Sequence[str], Sequence[str]] | None:
    """What is ours to read, and what is the explorer's; None where it is not asked for."""
    return (arguments[:1], arguments[1:]) if arguments[:1] == [_NAME] else None


def _explore(given: argparse.Namespace) -> int:
    from chaos.search.explore.__main__ import main  # noqa: PLC0415 - see the package's docstring

    return main(given.passed_on)

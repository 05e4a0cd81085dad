"""`completion`: a script by which a shell completes commands, options and scenarios."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from chaos.cli import Commands, UnusableError, add_parser
from chaos.cli.terminal import put

_SHELLS = ("bash", "zsh", "fish")

_DESCRIPTION = """\
Prints a script that makes a shell complete commands, options, files, and the names of this
project's scenarios. Make it anew when there are new ones."""
_MORE = """\
examples:
  %(prog)s bash > ~/.chaos.bash   and source it in ~/.bashrc
  %(prog)s zsh > FOLDER/_temporal-chaos     of $fpath
  %(prog)s fish > FOLDER/temporal-chaos.fish
                                  FOLDER: ~/.config/fish/completions"""


def add(commands: Commands) -> None:
    """Make it known."""
    parser = add_parser(
        commands,
        "completion",
        summary="print a completion script for a shell",
        description=_DESCRIPTION,
        more=_MORE,
    )
    parser.add_argument("shell", choices=_SHELLS)
    parser.set_defaults(command=_completion)


def _completion(given: argparse.Namespace) -> int:
    import shtab  # noqa: PLC0415 - see the package's docstring

    from chaos.cli.parser import PROGRAM, make_parser  # noqa: PLC0415 - it imports this module

    described, scenarios = make_parser(PROGRAM), _scenario_names()
    for action in _actions(described):
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - it has no other name
            for command in action.choices.values():
                command.description = None  # so that the short help of each is shown
        if action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined] # where shtab looks for it
        if action.dest == "scenarios":
            action.choices = scenarios
    put(shtab.complete(described, given.shell).rstrip())
    return 0


def _scenario_names() -> list[str]:
    """None in a project that names no target."""
    from chaos.cli.project import scenarios_here  # noqa: PLC0415 - see the package's docstring

    try:
        return sorted(each.name for each in scenarios_here(may_be_none=True))
    except UnusableError:
        return []


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to its arguments
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - as above
            for each in action.choices.values():
                yield from _actions(each)

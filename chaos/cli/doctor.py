"""`doctor`: what is installed, what is missing, and how to get it."""

from __future__ import annotations

import argparse
import io
import platform
import re
import tomllib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.cli import NEGATIVE, Commands, add_parser
from chaos.cli.terminal import put, say, width
from chaos.evidence.text import plain

if TYPE_CHECKING:
    from chaos.environment.needs import Need

_PROJECT = Path(__file__).parents[2]
_DISTRIBUTION = "pytest-temporal-chaos"

_NAME = re.compile(r"[^\w.-]")
"""The part after the name in a requirement."""

_STYLES = {"ok": "green", "missing": "bold red", "optional": "yellow"}

_PIPE_COLUMNS = 160
"""The width without a terminal."""

_DESCRIPTION = """\
Checks whether this machine has what the harness and this project need. It installs and downloads
nothing, and opens no connection. Optional items are needed only for the use that is shown with
them."""
_MORE = """\
examples:
  %(prog)s
  %(prog)s && pytest -m chaos

exit code:
  0  pytest -m chaos can run here
  1  it cannot: something is missing"""


def add(commands: Commands) -> None:
    """Register the command."""
    parser = add_parser(
        commands,
        "doctor",
        summary="show what is installed, what is missing, and how to get it",
        description=_DESCRIPTION,
        more=_MORE,
    )
    parser.set_defaults(command=_doctor)


def _doctor(given: argparse.Namespace) -> int:
    del given
    lacking = lacking_packages()
    if lacking:
        say(f"Python {platform.python_version()} lacks packages:")
        for each in lacking:
            say(f"  {each}")
        say("Install them into a virtual environment, then run this command again:")
        say(f"  python3 -m venv .venv && .venv/bin/pip install {_what_to_install()}")
        return NEGATIVE
    from chaos.cli.machine import examine
    from chaos.environment.needs import Need, State

    python = Need(
        State.OK, "Python", "everything", f"{platform.python_version()}, with all packages"
    )
    findings = [python, *examine(Path.cwd())]
    _show(findings)
    missing = [each.what for each in findings if each.state is State.MISSING]
    say()
    if missing:
        say(f"pytest -m chaos cannot run here yet; missing: {', '.join(missing)}.")
        return NEGATIVE
    say("pytest -m chaos can run here.")
    return 0


def _show(findings: Sequence[Need]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    there = Table("", "What", "Needed by", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    there.add_column("Here", overflow="fold")
    how = Table.grid(padding=(0, 2))
    for each in findings:
        state = Text(each.state, style=_STYLES[each.state])
        there.add_row(state, *(Text(plain(t)) for t in (each.what, each.needed_by, each.found)))
        if each.how:
            how.add_row("", Text(plain(each.what)), Text(plain(each.how)))
    drawn, columns = io.StringIO(), width()
    console = Console(file=drawn, force_terminal=bool(columns), width=columns or _PIPE_COLUMNS)
    console.print(there)
    if how.rows:
        console.print("\nHow to get it:")
        console.print(how)
    # As Rich has drawn it, in colours where there are such.
    put("\n".join(line.rstrip() for line in drawn.getvalue().splitlines()))


def lacking_packages() -> list[str]:
    """The dependencies that this Python lacks, or has in an unsuitable version."""
    return [text for text in _requirements() if _is_lacking(text)]


def _what_to_install() -> str:
    return f"-e {_PROJECT}" if (_PROJECT / "pyproject.toml").exists() else _DISTRIBUTION


def _requirements() -> Sequence[str]:
    """From pyproject.toml in a checkout, because the installed metadata may be older."""
    file = _PROJECT / "pyproject.toml"
    if file.exists():
        return tuple(tomllib.loads(file.read_text(encoding="utf-8"))["project"]["dependencies"])
    found = metadata.requires(_DISTRIBUTION) or ()
    return [text for text in found if "extra ==" not in text]  # of extras nobody is lacking


def _is_lacking(text: str) -> bool:
    name = _NAME.split(text, maxsplit=1)[0]
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return True
    try:
        from packaging.requirements import Requirement
    except ImportError:  # pytest, which brings it along, is among those that are lacking
        return False
    return not Requirement(text).specifier.contains(found, prereleases=True)

"""The commands of `python -m chaos`, a module for each, with an `add` that registers it. A command
imports what it needs when it runs, because help must be fast.
"""

from __future__ import annotations

import argparse
import shutil
import textwrap
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no other name
"""To which `add` adds a parser; its default `command` takes what was given and is the exit code."""

NEGATIVE = 1
"""The command ran, and something did not pass."""

UNUSABLE = 2
"""Wrong options, or it cannot run here; one sentence on standard error says which."""

INTERRUPTED = 130


class UnusableError(Exception):
    """It cannot run here. One sentence: why, and what to do."""


def add_parser(
    commands: Commands, name: str, *, summary: str, description: str, more: str
) -> argparse.ArgumentParser:
    """The parser of one command. `more` has examples and exit codes, and is shown verbatim."""
    columns = shutil.get_terminal_size().columns - 2  # as argparse has it
    return commands.add_parser(
        name,
        help=summary,
        description=textwrap.fill(" ".join(description.split()), columns),
        epilog=more,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )

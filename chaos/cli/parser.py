"""The command line, with all commands."""

from __future__ import annotations

import argparse
from importlib.metadata import PackageNotFoundError, version

from chaos.cli import clean, doctor, explore, probe, recheck, report, run, shrink, up
from chaos.cli import list as list_

_COMMANDS = (list_, run, up, report, recheck, shrink, explore, probe, clean, doctor)

PROGRAM = "temporal-chaos"
"""The console script; `chaos` is the name of another project's."""

_DISTRIBUTION = "pytest-temporal-chaos"

_MORE = """\
examples:
  %(prog)s doctor             what is installed here, and what is missing
  %(prog)s list               scenarios and faults
  %(prog)s run NAME           one scenario; without a name, all of them
  %(prog)s up                 the whole stack, to try things by hand
  %(prog)s run --help         more of a command, with examples

exit code (of run: that of pytest):
  0  done                     2  misused, or it cannot be done here
  1  the answer is no       130  Ctrl-C"""


def make_parser(name: str) -> argparse.ArgumentParser:
    """The parser of a program of this name."""
    parser = argparse.ArgumentParser(
        prog=name,
        description="Breaks Temporal workers and all that they need, and shows what survives.",
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in _COMMANDS:
        module.add(commands)
    return parser


def _version() -> str:
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return "(not installed)"

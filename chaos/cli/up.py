"""`up`: the whole stack, for trying things by hand."""

from __future__ import annotations

import argparse
from pathlib import Path

from chaos.cli import UNUSABLE, Commands, add_parser
from chaos.cli.terminal import say
from chaos.plugin import options
from chaos.process.streams import complain

_DEFAULT_WORKERS = 2

_DESCRIPTION = """\
Starts the whole stack of this project's first target on this machine and prints its addresses: a
Temporal server with its Web UI, the target's services, its workers under a supervisor, and
whatever else the target starts. Nothing is paid for. Ctrl-C stops everything, and nothing is
left, unless you give --keep."""
_MORE = """\
examples:
  %(prog)s
  %(prog)s --workers 3 --keep=tried

exit code:
  0  everything ran, and was stopped by Ctrl-C or SIGTERM
  2  the stack cannot be started; one sentence says why
130  Ctrl-C before everything ran"""


def add(commands: Commands) -> None:
    """Register the command."""
    parser = add_parser(
        commands,
        "up",
        summary="start the whole stack, to try things by hand",
        description=_DESCRIPTION,
        more=_MORE,
    )
    parser.add_argument(
        "--workers",
        type=options.count,
        default=_DEFAULT_WORKERS,
        metavar="N",
        help=f"how many (default: {_DEFAULT_WORKERS})",
    )
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="FOLDER",
        help="keep the target's files and logs here (default: they are removed)",
    )
    parser.add_argument("--temporal-cli", type=Path, metavar="PATH", help="as for run")
    parser.set_defaults(command=_up)


def _up(given: argparse.Namespace) -> int:
    from chaos.cli.dev_stack import DevStack, DevStackError
    from chaos.cli.project import targets_here
    from chaos.process.programs import BadBinaryError, BinaryNotFoundError

    stack = DevStack(
        target=targets_here()[0],
        workers=given.workers,
        keep=given.keep.absolute() if given.keep else None,
        say=say,
    )
    try:
        stack.run(given.temporal_cli)
    except (BadBinaryError, BinaryNotFoundError, DevStackError) as error:
        complain(str(error))
        return UNUSABLE
    return 0

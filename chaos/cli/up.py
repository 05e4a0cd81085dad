"""`up`: the whole stack, for trying things by hand."""

from __future__ import annotations

import argparse
from pathlib import Path

from chaos.cli import UNUSABLE, Commands, add_parser
from chaos.cli.terminal import say
from chaos.evidence import numbers
from chaos.plugin import options
from chaos.process.streams import complain

_DEFAULT_WORKERS = 2
_DEFAULT_SERVICE_PORT = 3007

_DESCRIPTION = """\
Starts the whole stack on this machine and prints its addresses: a Temporal server with its
Web UI, a fleet of workers, the fake paid API, and the HTTP service with its status page.
Nothing is paid for. Ctrl-C takes all down; nothing is left, unless --keep says so."""
_MORE = """\
examples:
  %(prog)s
  %(prog)s --workers 3 --keep=tried
  %(prog)s --service-port 8080

exit code:
  0  all was up, and was taken down by Ctrl-C or SIGTERM
  2  the stack cannot be started; one sentence says why
130  Ctrl-C before all was up"""


def add(commands: Commands) -> None:
    """Make it known."""
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
        help=f"of the fleet (default: {_DEFAULT_WORKERS})",
    )
    parser.add_argument(
        "--service-port",
        type=numbers.port,
        default=_DEFAULT_SERVICE_PORT,
        metavar="PORT",
        help=f"of the HTTP service (default: {_DEFAULT_SERVICE_PORT})",
    )
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="FOLDER",
        help="where artifacts, ledgers and logs are kept (default: they go)",
    )
    parser.add_argument("--temporal-cli", type=Path, metavar="PATH", help="as for pytest")
    parser.set_defaults(command=_up)


def _up(given: argparse.Namespace) -> int:
    from chaos.cli.dev_stack import Playground, PlaygroundError  # noqa: PLC0415 - likewise
    from chaos.process.programs import BadBinaryError, BinaryNotFoundError  # noqa: PLC0415 - see the package

    try:
        playground = Playground(
            workers=given.workers,
            service_port=given.service_port,
            keep=given.keep.absolute() if given.keep else None,
            say=say,
        )
        playground.run(given.temporal_cli)
    except (BadBinaryError, BinaryNotFoundError, PlaygroundError) as error:
        complain(str(error))
        return UNUSABLE
    return 0

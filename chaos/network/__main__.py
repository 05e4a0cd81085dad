"""Command line: `python -m chaos.network --listen P --upstream H:P --control P --journal FILE`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from chaos.evidence.numbers import is_whole, quoted, whole
from chaos.network.journal import NetworkJournalError
from chaos.network.program import FAILED, MISUSED, Parser, UsageError, allow_many_files, complain
from chaos.network.proxy import HOST, PortError, Upstream, listen
from chaos.network.server import serve

_PROGRAM = "chaos.network"


def main() -> int:
    """Run until told to stop; the exit code."""
    try:
        return _run()
    except (UsageError, PortError, NetworkJournalError) as error:
        complain(_PROGRAM, str(error))
        return MISUSED


def _run() -> int:
    options = _parser().parse_args()
    if options.upstream == Upstream(HOST, options.listen):
        raise UsageError("The proxy cannot be its own upstream: name another port.")
    allow_many_files()
    control = listen(options.control)
    failure = asyncio.run(
        serve(options.listen, options.upstream, options.seed, options.journal, control)
    )
    if failure is None:
        return 0
    complain(_PROGRAM, failure)
    return FAILED


def _parser() -> Parser:
    parser = Parser(
        prog=_PROGRAM,
        description="A TCP proxy whose faults are put on and taken off while it runs.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--listen", type=whole(0), required=True, help=f"port on {HOST} for clients"
    )
    parser.add_argument("--upstream", type=_upstream, required=True, help="HOST:PORT to go to")
    parser.add_argument(
        "--control", type=whole(0), required=True, help=f"port on {HOST} for control"
    )
    parser.add_argument("--journal", type=Path, required=True, help="file of what it does")
    parser.add_argument(
        "--seed", type=whole(0), default=0, help="of jitter and sizes (%(default)s)"
    )
    return parser


def _upstream(text: str) -> Upstream:
    host, _, number = text.rpartition(":")
    if not (host and is_whole(number) and 0 < int(number) < 65536):
        raise argparse.ArgumentTypeError(f"{quoted(text)} is not HOST:PORT")
    return Upstream(host.removeprefix("[").removesuffix("]"), int(number))


if __name__ == "__main__":
    sys.exit(main())

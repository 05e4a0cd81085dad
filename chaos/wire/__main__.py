"""Command line: `python -m chaos.wire --control PORT --journals FOLDER`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from chaos.evidence.numbers import whole
from chaos.network.program import FAILED, MISUSED, Parser, UsageError, allow_many_files, complain
from chaos.network.proxy import HOST, PortError, listen
from chaos.wire.server import serve

_PROGRAM = "chaos.wire"


def main() -> int:
    """Run until told to stop; the exit code."""
    try:
        options = _parser().parse_args()
        control = listen(options.control)
    except (UsageError, PortError) as error:
        complain(_PROGRAM, str(error))
        return MISUSED
    allow_many_files()
    failure = asyncio.run(serve(control, options.journals))
    if failure is None:
        return 0
    complain(_PROGRAM, failure)
    return FAILED


def _parser() -> Parser:
    parser = Parser(
        prog=_PROGRAM,
        description="Proxies that speak Temporal's gRPC and services' HTTP, and hold calls there.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--control", type=whole(0), required=True, help=f"port on {HOST} for its client"
    )
    parser.add_argument(
        "--journals", type=Path, required=True, help="folder of what passes, a file for each line"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

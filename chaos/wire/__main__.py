"""Command line: `python -m chaos.wire --control PORT --journals FOLDER`."""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
from pathlib import Path
from typing import NoReturn

from chaos.evidence.numbers import whole
from chaos.network.proxy import HOST, PortError, listen
from chaos.wire.server import serve

_MISUSED = 2
_FAILED = 1


class _UsageError(Exception):
    """It cannot start; the message says why and what to do."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message}. See --help for the options.")


def main() -> int:
    """Run until told to stop; the exit code."""
    try:
        options = _parser().parse_args()
        control = listen(options.control)
    except (_UsageError, PortError) as error:
        _say(str(error))
        return _MISUSED
    _allow_many_files()
    failure = asyncio.run(serve(control, options.journals))
    if failure is None:
        return 0
    _say(failure)
    return _FAILED


def _parser() -> _Parser:
    parser = _Parser(
        prog="chaos.wire",
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


def _allow_many_files() -> None:
    """Each connection takes two files, and many systems begin with 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _say(sentence: str) -> None:
    print(f"chaos.wire: {sentence}", file=sys.stderr)  # noqa: T201 - its user reads stderr


if __name__ == "__main__":
    sys.exit(main())

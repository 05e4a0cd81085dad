"""`python -m chaos.wire --control PORT --case FOLDER`: the process with all lines of a stack."""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from chaos.evidence.numbers import whole
from chaos.network.proxy import HOST, PortError, listen
from chaos.wire.server import Server

FAILED, MISUSED = 1, 2

_PROGRAM = "chaos.wire"
_PARENT_INTERVAL_SECONDS = 1.0


def main() -> int:
    """Run until client or parent is gone, a signal comes or a journal fails; the exit code."""
    options = _parser().parse_args()
    try:
        control = listen(options.control)
    except PortError as error:
        return _complain(str(error), MISUSED)
    _allow_many_files()
    failure = asyncio.run(_serve(control, options.case))
    return 0 if failure is None else _complain(failure, FAILED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Proxies gRPC, HTTP and TCP, holds calls, and breaks connections.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--control", type=whole(0), required=True, help=f"port on {HOST} for its client"
    )
    parser.add_argument(
        "--case",
        type=Path,
        required=True,
        help="folder for the record of calls, a file for each line",
    )
    return parser


def _allow_many_files() -> None:
    """Each connection takes two files, and many systems begin with 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS names a limit that it does not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _serve(control: socket.socket, case: Path) -> str | None:
    """Run until it ends in order (None) or has failed (a sentence that says how)."""
    told: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def stop(sentence: str | None) -> None:
        if not told.done():
            told.set_result(sentence)

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop, None)
    server = Server(case, stop)
    watching = asyncio.create_task(_end_of_parent())
    watching.add_done_callback(lambda _: stop(None))
    try:
        await server.start(control)
        return await told
    finally:
        watching.cancel()
        await server.stop()


async def _end_of_parent() -> None:
    """A parent that was killed tells nobody, and before the client comes nothing else would."""
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - the kernel has no event for it
        await asyncio.sleep(_PARENT_INTERVAL_SECONDS)


def _complain(sentence: str, code: int) -> int:
    """Say why it ends."""
    print(f"{_PROGRAM}: {sentence}", file=sys.stderr)  # noqa: T201 - its log is the harness's
    return code


if __name__ == "__main__":
    sys.exit(main())

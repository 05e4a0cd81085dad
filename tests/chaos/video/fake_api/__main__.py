"""Command line: `python -m tests.chaos.video.fake_api --port P --bills FILE`."""

import argparse
import asyncio
import os
import socket
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NoReturn

from pydantic import SecretStr, ValidationError

from chaos.evidence.numbers import whole
from tests.chaos.video.fake_api.bills import BillsError, BillsWriter
from tests.chaos.video.fake_api.server import serve
from tests.chaos.video.fake_api.settings import KEY_VARIABLE, Latencies, Prices, Setup

_HOST = "127.0.0.1"
_MISUSED = 2
_BILLS_FAILED = 1


class _UsageError(Exception):
    """It cannot start; the message says why and what to do."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message}. See --help for the options.")


def main() -> int:
    """Serve until told to stop; the exit code."""
    try:
        return _run()
    except (_UsageError, BillsError) as error:
        _say(str(error))
        return _MISUSED


def _run() -> int:
    options = _parser().parse_args()
    key = os.environ.get(KEY_VARIABLE, "")
    if not key.strip():
        raise _UsageError(f"There is no API key: set {KEY_VARIABLE} in the environment.")
    latencies, prices = _settings(options)
    setup = Setup(bills_path=options.bills, key=SecretStr(key), latencies=latencies, prices=prices)
    bills, records = BillsWriter.open(options.bills)
    failure = asyncio.run(serve(setup, _listen(options.port), bills, records))
    if failure is None:
        return 0
    _say(failure)
    return _BILLS_FAILED


def _parser() -> _Parser:
    parser = _Parser(
        prog="tests.chaos.video.fake_api",
        description=f"A stand-in for the Gemini and Veo API; its key comes from {KEY_VARIABLE}.",
        allow_abbrev=False,
    )
    parser.add_argument("--port", type=whole(0), required=True, help="port on 127.0.0.1")
    parser.add_argument("--bills", type=Path, required=True, help="file of its bills")
    for name, field in Latencies.model_fields.items():
        parser.add_argument(_flag(name), type=float, default=field.default, help="(%(default)s)")
    for name, field in Prices.model_fields.items():
        parser.add_argument(_flag(name), type=_decimal, default=field.default, help="(%(default)s)")
    return parser


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount") from None


def _settings(options: argparse.Namespace) -> tuple[Latencies, Prices]:
    given = vars(options)
    try:
        return (
            Latencies(**{name: given[name] for name in Latencies.model_fields}),
            Prices(**{name: given[name] for name in Prices.model_fields}),
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise _UsageError(f"argument {_flag(str(first['loc'][0]))}: {first['msg']}.") from None


def _listen(port: int) -> socket.socket:
    # asyncio sends small replies at once only where the protocol is named: 40 ms each otherwise.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # The port may be reserved by a parent that has bound it but does not listen.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_HOST, port))
        listener.listen(2048)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) else "no such port"
        raise _UsageError(
            f"Port {port} on {_HOST} cannot be used ({reason}): choose a free one."
        ) from None
    return listener


def _say(sentence: str) -> None:
    print(f"tests.chaos.video.fake_api: {sentence}", file=sys.stderr)  # noqa: T201  # its user reads stderr


if __name__ == "__main__":
    sys.exit(main())

"""Command line: `python -m chaos COMMAND`, or `chaos COMMAND` where the project is installed.

Each command is a module of `chaos.commands`.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from chaos.commands import INTERRUPTED, UNUSABLE, run
from chaos.commands.parser import make_parser
from chaos.commands.terminal import complain

_READER_IS_GONE = 128 + signal.SIGPIPE


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command; its exit code."""
    _write_what_can_be_written()
    try:
        try:
            return _carry_out(sys.argv[1:] if arguments is None else arguments)
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except ModuleNotFoundError as error:
        if _is_our_own(error.name):
            raise
        complain(f"Python has no package {error.name}: {_name()} doctor says what is lacking.")
        return UNUSABLE
    except BrokenPipeError:  # as with `| head`
        # Else Python would complain of it once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _READER_IS_GONE


def _carry_out(arguments: Sequence[str]) -> int:
    own, passed_on = run.split(arguments)
    parser = make_parser(_name())
    given = parser.parse_args(own, argparse.Namespace(passed_on=passed_on))
    command: Callable[[argparse.Namespace], int] = given.command
    return command(given)


def _is_our_own(module: str | None) -> bool:
    return module is None or module.partition(".")[0] in {"chaos", "workflows"}


def _name() -> str:
    """How the user has called it."""
    return "chaos" if Path(sys.argv[0]).name == "chaos" else "python -m chaos"


def _write_what_can_be_written() -> None:
    """An output that has no sign for a letter gets a question mark, not the user a stack trace."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    sys.exit(main())

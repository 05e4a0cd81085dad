"""Command line: `python -m chaos COMMAND`.

A command imports what it needs when it is called, so that the help is there at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

_UNUSABLE = 2
_INTERRUPTED = 130

_RECHECK = """\
Judges a run again: every verdict is computed anew, by today's code, from the evidence
that the run has left. Starts no process, opens no connection, and changes nothing of the
run; its folder may have been moved or copied."""
_RECHECK_MORE = """\
example:
  python -m chaos recheck reports/latest

exit code:
  0  all verdicts were computed again, are as recorded, and are passes
  1  something did not pass, then or now, or the evidence does not say what results.json
     says (a verdict, or what was billed)
  2  RUN is not a run's folder, its results.json cannot be read or has another schema, or
     the recheck could not be written"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command; its exit code."""
    try:
        given = _parser().parse_args(arguments)
        command: Callable[[argparse.Namespace], int] = given.command
        return command(given)
    except KeyboardInterrupt:
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m chaos",
        description="The fault-tolerance suite beside pytest, which runs it (pytest -m chaos).",
        epilog="example: python -m chaos recheck reports/latest",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    recheck = commands.add_parser(
        "recheck",
        help="judge a run again from its evidence",
        description=_RECHECK,
        epilog=_RECHECK_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    recheck.add_argument("run", type=Path, metavar="RUN", help="a run's folder in reports/")
    recheck.add_argument(
        "--write", action="store_true", help="write recheck.json and recheck.md into the folder"
    )
    recheck.set_defaults(command=_recheck)
    return parser


def _recheck(given: argparse.Namespace) -> int:
    from temporalio.runtime import Runtime  # noqa: PLC0415 - see the module's docstring

    from chaos.cluster.temporal import quiet_runtime  # noqa: PLC0415 - likewise
    from chaos.recheck import (  # noqa: PLC0415 - likewise
        RecheckError,
        recheck,
        terminal_lines,
        write_recheck,
    )
    from chaos.scenarios.catalogue import all_scenarios  # noqa: PLC0415 - likewise

    with suppress(RuntimeError):  # somebody in this process has set one already
        # A replay that fails is told in the verdict; the SDK would tell it again, in colours.
        Runtime.set_default(quiet_runtime())
    try:
        found = recheck(given.run, all_scenarios())
        sys.stdout.write("\n".join(terminal_lines(found)) + "\n")
        if given.write:
            write_recheck(found, given.run)
    except RecheckError as error:
        sys.stderr.write(f"{error}\n")
        return _UNUSABLE
    return found.exit_code


if __name__ == "__main__":
    sys.exit(main())

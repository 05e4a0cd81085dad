"""Command line: `python -m chaos COMMAND`, or `temporal-chaos COMMAND` where it is installed.

Each command is a module of `chaos.cli`.
"""

from __future__ import annotations

import argparse
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from chaos.cli import (
    INTERRUPTED,
    UNUSABLE,
    UnusableError,
    campaign,
    clean,
    doctor,
    explore,
    probe,
    recheck,
    replay,
    report,
    run,
    shrink,
    up,
    worker,
)
from chaos.cli import list as list_
from chaos.cli.terminal import OutputError
from chaos.process.streams import complain, give_up, repair_streams
from chaos.process.threads import let_foreign_threads_leave

_READER_IS_GONE = 128 + signal.SIGPIPE

_COMMANDS = (
    *(list_, run, up, report, recheck, replay, shrink, explore, probe),
    *(campaign, worker, clean, doctor),
)

PROGRAM = "temporal-chaos"
"""The console script; another project has the name `chaos`."""

_DISTRIBUTION = "pytest-temporal-chaos"

_MORE = """\
examples:
  %(prog)s doctor             what is installed here, and what is missing
  %(prog)s list               scenarios and faults
  %(prog)s run NAME           one scenario; without a name, all of them
  %(prog)s up                 the whole stack, to try things by hand
  %(prog)s run --help         help on one command, with examples

exit code (of run: that of pytest):
  0  done                     2  wrong options, or it cannot run here
  1  something did not pass  130  Ctrl-C"""


def make_parser(name: str) -> argparse.ArgumentParser:
    """The parser of a program of this name."""
    parser = argparse.ArgumentParser(
        prog=name,
        description="Breaks Temporal workers and what they depend on, and shows what survives.",
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    repair_streams()
    end: SystemExit | None = None
    try:
        code = _guarded(sys.argv[1:] if arguments is None else arguments)
    except SystemExit as error:  # the parser's own, after its help or a complaint
        end, code = error, 0
    let_foreign_threads_leave()
    try:
        sys.stdout.flush()
    except OSError as error:
        return _unwritten(error)
    if end:
        raise end
    return code


def _guarded(arguments: Sequence[str]) -> int:
    try:
        return _carry_out(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except ModuleNotFoundError as error:
        if _is_our_own(error.name):
            return _broken()
        complain(f"Python has no package {error.name}: {_name()} doctor says what is missing.")
        return UNUSABLE
    except (BrokenPipeError, OutputError) as error:
        return _unwritten(error)
    except Exception:  # noqa: BLE001 - no fault of ours may look like the answer no
        return _broken()


def _unwritten(error: Exception) -> int:
    """The exit code if output failed; a reader that has gone, such as `head`, is no error."""
    give_up(sys.stdout)
    if isinstance(error, BrokenPipeError):
        return _READER_IS_GONE
    reason = str(OutputError.of(error)) if isinstance(error, OSError) else str(error)
    complain(reason)
    return UNUSABLE


def _broken() -> int:
    """A bug in this program: its traceback, and an exit code that is not a verdict's."""
    complain(traceback.format_exc().rstrip())
    complain(f"This is a bug in {_name()}, not a verdict: please report it.")
    return UNUSABLE


def _carry_out(arguments: Sequence[str]) -> int:
    own, passed_on = run.split(arguments)
    parser = make_parser(_name())
    given = parser.parse_args(own, argparse.Namespace(passed_on=passed_on))
    command: Callable[[argparse.Namespace], int] = given.command
    try:
        return command(given)
    except UnusableError as error:
        complain(str(error))
        return UNUSABLE


def _is_our_own(module: str | None) -> bool:
    return module is None or module.partition(".")[0] == "chaos"


def _name() -> str:
    """The command as the user called it."""
    return PROGRAM if Path(sys.argv[0]).name == PROGRAM else "python -m chaos"


if __name__ == "__main__":
    sys.exit(main())

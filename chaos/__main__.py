"""Command line: `python -m chaos COMMAND`.

A command imports what it needs when it is called, so that the help is there at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from chaos import options

if TYPE_CHECKING:
    from chaos.scenarios import Scenario

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


_SHRINK = """\
Takes a schedule that failed, leaves out faults and workflows, and runs it again and again,
until nothing more can be left out. Each time real processes are started and broken."""
_SHRINK_MORE = """\
example:
  pytest -m chaos --seed 1-10
  python -m chaos shrink reports/latest

exit code:
  0  a schedule was written to RUN/shrink/schedule.json, which --replay takes
  2  RUN has no failed schedule, or nothing can be run here"""


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
    _add_shrink(commands)
    return parser


def _add_shrink(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    shrink = commands.add_parser(
        "shrink",
        help="find a shorter schedule that still fails",
        description=_SHRINK,
        epilog=_SHRINK_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    shrink.add_argument("run", type=Path, metavar="RUN", help="the folder of a run with --seed")
    shrink.add_argument("--case", metavar="NAME", help="which of its failed cases (default: first)")
    shrink.add_argument(
        "--runs", type=options.count, default=40, metavar="N", help="at most (default: 40)"
    )
    shrink.add_argument("--temporal-cli", type=Path, metavar="PATH", help="as for pytest")
    shrink.add_argument(
        "--worker-command", type=options.command, metavar="'PROGRAM …'", help="as for pytest"
    )
    shrink.set_defaults(command=_shrink)


def _seeded(run: Path) -> Sequence[Scenario]:
    """The schedules of a run, which no catalogue has."""
    from chaos.seeded.scenario import seeded_of  # noqa: PLC0415 - see the module's docstring
    from chaos.seeded.schedule import ScheduleError  # noqa: PLC0415 - likewise

    try:
        return (seeded_of(run),)
    except ScheduleError:  # it has none, or they are damaged: what was recorded of them is doubtful
        return ()


def _shrink(given: argparse.Namespace) -> int:
    from chaos.cluster.choose import Choice  # noqa: PLC0415 - see the module's docstring
    from chaos.cluster.worker import WORKER_ARGV  # noqa: PLC0415 - likewise
    from chaos.runner import RunError  # noqa: PLC0415 - likewise
    from chaos.shrinking import Means, ShrinkError, shrink  # noqa: PLC0415 - likewise

    try:
        means = Means(
            most_runs=given.runs,
            say=_say,
            choice=Choice(temporal_cli=given.temporal_cli),
            worker_argv=given.worker_command or WORKER_ARGV,
        )
        found = shrink(given.run, means, case=given.case)
    except (ShrinkError, RunError) as error:
        sys.stderr.write(f"{error}\n")
        return _UNUSABLE
    before, after = found.before, found.after
    _say(
        f"{len(before.faults)} faults and {len(before.orders)} workflows in "
        f"{before.duration_seconds:g} s became {len(after.faults)} and {len(after.orders)} in "
        f"{after.duration_seconds:g} s ({found.tried} runs)."
    )
    for planned in after.faults:
        _say(f"  {planned.at_seconds:6.2f} s  {planned.fault.kind} at {planned.fault.target}")
    _say(f"Run it again: pytest -m chaos --replay={found.file}")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


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
        found = recheck(given.run, [*all_scenarios(), *_seeded(given.run)])
        sys.stdout.write("\n".join(terminal_lines(found)) + "\n")
        if given.write:
            write_recheck(found, given.run)
    except RecheckError as error:
        sys.stderr.write(f"{error}\n")
        return _UNUSABLE
    return found.exit_code


if __name__ == "__main__":
    sys.exit(main())

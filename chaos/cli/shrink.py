"""`shrink`: a shorter schedule that still fails."""

from __future__ import annotations

import argparse
from pathlib import Path

from chaos.cli import UNUSABLE, Commands, add_parser
from chaos.cli.terminal import say
from chaos.plugin import options
from chaos.process.streams import complain

_DESCRIPTION = """\
Removes faults and workflows from a schedule that failed, and runs it again each time, until
nothing more can be removed. Each attempt starts and breaks real processes."""
_MORE = """\
example:
  %(prog)s reports/latest     after a run with --seed

exit code:
  0  a schedule was written to RUN/shrink/schedule.json; run --replay takes it
  2  RUN has no failed schedule, or nothing can be run here"""


def add(commands: Commands) -> None:
    """Register the command."""
    parser = add_parser(
        commands,
        "shrink",
        summary="find a shorter schedule that still fails",
        description=_DESCRIPTION,
        more=_MORE,
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a run with --seed")
    parser.add_argument(
        "--case", metavar="NAME", help="which failed case of the run (default: the first)"
    )
    parser.add_argument(
        "--runs", type=options.count, default=40, metavar="N", help="at most (default: 40)"
    )
    parser.add_argument("--temporal-cli", type=Path, metavar="PATH", help="as for run")
    parser.add_argument(
        "--worker-command", type=options.command, metavar="'PROGRAM …'", help="as for run"
    )
    parser.set_defaults(command=_shrink)


def _shrink(given: argparse.Namespace) -> int:
    from chaos.cli.project import targets_here
    from chaos.environment.provision import Choice
    from chaos.experiment.runner import RunError
    from chaos.search.shrink import Means, ShrinkError, shrink

    try:
        means = Means(
            target=targets_here()[0],
            most_runs=given.runs,
            say=say,
            choice=Choice(temporal_cli=given.temporal_cli),
            worker_argv=given.worker_command or (),
        )
        found = shrink(given.run, means, case=given.case)
    except (ShrinkError, RunError) as error:
        complain(str(error))
        return UNUSABLE
    before, after = found.before, found.after
    say(
        f"{len(before.faults)} faults and {len(before.starts)} workflows in "
        f"{before.duration_seconds:g} s became {len(after.faults)} and {len(after.starts)} in "
        f"{after.duration_seconds:g} s ({found.tried} runs)."
    )
    for planned in after.faults:
        say(f"  {planned.at_seconds:6.2f} s  {planned.fault.kind} at {planned.fault.target}")
    say(f"Run it again: python -m chaos run --replay={found.file}")
    return 0

"""`recheck`: computes a run's verdicts again from its evidence."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.cli import UNUSABLE, Commands, UnusableError, add_parser
from chaos.cli.terminal import say_all
from chaos.process.streams import complain

if TYPE_CHECKING:
    from chaos.environment.target import Target
    from chaos.experiment.scenario import Scenario

_DESCRIPTION = """\
Checks a run of this project again: computes every verdict from the run's evidence, by today's
code. It starts no process, opens no connection, and changes nothing in the run's folder, which
may have been moved or copied."""
_MORE = """\
example:
  %(prog)s reports/latest

exit code:
  0  every verdict is as recorded, and all passed
  1  something did not pass, then or now, or the evidence contradicts
     results.json (a verdict, or what was billed)
  2  RUN is not a run's folder, its results.json cannot be read or has another
     schema, this project names no target, or nothing could be written"""


def add(commands: Commands) -> None:
    """Register the command."""
    parser = add_parser(
        commands,
        "recheck",
        summary="compute a run's verdicts again from its evidence",
        description=_DESCRIPTION,
        more=_MORE,
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder in reports/")
    parser.add_argument(
        "--write", action="store_true", help="write recheck.json and recheck.md into the folder"
    )
    parser.set_defaults(command=_recheck)


def _catalogue(run: Path) -> Sequence[Scenario]:
    """The scenarios of this project, and what may have run in their place: the schedules of the
    run, which no catalogue has, and the guide's.
    """
    from chaos import guide
    from chaos.cli.project import scenarios_here, targets_here

    if not __debug__:
        raise UnusableError(
            "Python runs with -O, or PYTHONOPTIMIZE is set: that removes the assert statements "
            "that verdicts may depend on; run without it."
        )
    targets = targets_here()
    own = scenarios_here(may_be_none=True)
    return [*own, *_seeded(run, targets[0]), *guide.scenarios(targets[0])]


def _seeded(run: Path, target: Target) -> Sequence[Scenario]:
    from chaos.search.schedule import ScheduleError, schedules_of
    from chaos.search.seeded import seeded

    try:
        return (seeded(schedules_of(run), target),)
    except ScheduleError:  # none, damaged, or of another target: what was recorded is doubtful
        return ()


def _recheck(given: argparse.Namespace) -> int:
    from temporalio.runtime import Runtime

    from chaos.environment.temporal import quiet_runtime
    from chaos.experiment.reading import ReadingError
    from chaos.report.recheck import (
        recheck,
        terminal_lines,
        write_recheck,
    )

    with suppress(RuntimeError):  # somebody in this process has set one already
        # A replay that fails is told in the verdict; the SDK would tell it again, in colours.
        Runtime.set_default(quiet_runtime())
    try:
        found = recheck(given.run, _catalogue(given.run))
    except ReadingError as error:
        complain(str(error))
        return UNUSABLE
    say_all(terminal_lines(found))
    if given.write:
        try:
            write_recheck(found, given.run)
        except OSError as error:
            complain(
                f"the recheck could not be written to {given.run} ({error.strerror}): "
                "make room there, or leave --write out."
            )
            return UNUSABLE
    return found.exit_code

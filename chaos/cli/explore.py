"""`explore`: a worker is killed at each boundary of a workflow."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.cli import INTERRUPTED, NEGATIVE, UNUSABLE, Commands, add_parser, on
from chaos.cli.terminal import say_if_read
from chaos.evidence.numbers import minutes, whole
from chaos.process.streams import complain

if TYPE_CHECKING:
    from chaos.environment.target import Target
    from chaos.search.explore.plan import Choice
    from chaos.search.explore.state import State

_MOST_LANES = 64

_MEANINGLESS = {
    "lanes": "each machine runs as many cases as it has room for",
    "resume": "a campaign goes on by itself",
    "fresh": "each campaign is a new one",
    "temporal_cli": "each machine has its own",
}
"""Options that say nothing of a campaign."""

_DESCRIPTION = """\
Records a run without faults of each workflow in the specs of the project's first target, and
finds its crash points: each boundary of a workflow task, an activity, a heartbeat or a call. At
each of them the wire stops the call and the worker is killed; another worker completes the
workflow. The invariants are checked against the server's history and the bills that the target
can read. The worker may be any program, in any language."""
_MORE = """\
examples:
  %(prog)s                          all points, or what is left
  %(prog)s --sample 24 --minutes 5  a sample of every kind
  %(prog)s --action drop            only the call is lost
  %(prog)s --on localhost:7233 --evidence s3://bucket/chaos
                                    on many machines

Each result is in FOLDER/explore-TIME/points.jsonl as soon as it is known. After
Ctrl-C, or when the time is up, the same command resumes where it stopped.

exit code:
  0    all chosen points were hit, with proof, and all invariants hold
  1    a point failed or was not hit, or the time was up first
  2    it cannot start: wrong options, or no Temporal CLI
  130  Ctrl-C; the results so far are kept"""


def add(commands: Commands) -> None:
    """Register the command."""
    parser = add_parser(
        commands,
        "explore",
        summary="kill a worker at each boundary of a workflow",
        description=_DESCRIPTION,
        more=_MORE,
    )
    _add_options(parser)
    parser.set_defaults(command=_explore)


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--target",
        metavar="MODULE:NAME",
        help="what is explored (default: the first of [tool.chaos] in pyproject.toml)",
    )
    add(
        "--workflow",
        action="append",
        metavar="SPEC",
        help="one of the target's specs; repeatable (default: all)",
    )
    add(
        "--sample",
        type=whole(1),
        metavar="N",
        help="at most this many crash points, spread over all kinds",
    )
    add(
        "--seed",
        type=whole(0),
        default=0,
        metavar="N",
        help="which ones --sample takes (default: 0)",
    )
    add(
        "--action",
        choices=("kill", "drop"),
        default="kill",
        help="kill the worker, or only break the connection of the call (default: kill)",
    )
    add("--minutes", type=minutes, metavar="N", help="start no crash point after this many minutes")
    add(
        "--lanes",
        type=whole(1, _MOST_LANES),
        metavar="N",
        help="workers that run side by side (default: 4 per core)",
    )
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument("--resume", type=Path, metavar="FOLDER", help="resume this exploration")
    begin.add_argument(
        "--fresh",
        action="store_true",
        help="start over (default: resume the newest unfinished exploration with the same options)",
    )
    add("--reports", type=Path, default=Path("reports"), metavar="FOLDER", help="default: reports")
    add("--temporal-cli", type=Path, metavar="PATH", help="default: found or installed")
    on.add_options(parser, with_times=True)


def _explore(given: argparse.Namespace) -> int:
    from chaos.evidence.files import NoFolderError
    from chaos.experiment.catalogue import CatalogueError
    from chaos.process.child import ChildError
    from chaos.process.programs import BadBinaryError, BinaryNotFoundError
    from chaos.process.waiting import DeadlineExceededError
    from chaos.search.crash.points import Action, PlanError
    from chaos.search.explore.plan import Choice
    from chaos.search.explore.state import StateError
    from chaos.wire.specs import WireError

    unusable = (BadBinaryError, BinaryNotFoundError, ChildError, DeadlineExceededError)
    try:
        target = _target(given)
        specs = tuple(given.workflow or target.specs)
        action = Action(given.action)
        if on.is_campaign(given, _MEANINGLESS):
            return _explore_on(given, specs)
        choice = Choice(specs=specs, sample=given.sample, seed=given.seed, action=action)
        state = _state(given, choice)
        try:
            return _run(given, target, choice, state)
        except KeyboardInterrupt:
            complain("interrupted; the same command resumes from here.")
            return INTERRUPTED
        finally:
            state.close()
    except (*unusable, NoFolderError, WireError, CatalogueError, PlanError, StateError) as error:
        complain(f"explore: {error}")
    except OSError as error:
        complain(
            f"explore: {error.strerror} ({error.filename}); make room, then run the same "
            "command again."
        )
    return UNUSABLE


def _explore_on(given: argparse.Namespace, specs: tuple[str, ...]) -> int:
    """The same as a campaign."""
    from chaos.search.campaign.model import Explore

    work = Explore(
        specs=specs,
        action=given.action,
        sample=given.sample,
        seed=given.seed,
        times=given.times or 1,
    )
    return on.carry_out(given, work)


def _target(given: argparse.Namespace) -> Target:
    """What to explore. Raises CatalogueError, and PlanError if it has no such workflows."""
    from chaos.experiment.catalogue import (
        project_of,
        target_named,
        target_of,
    )
    from chaos.search.crash.points import PlanError

    here = project_of(Path.cwd())
    target = target_named(given.target, here) if given.target else target_of(here)
    wanted = given.workflow or list(target.specs)
    if not wanted or set(wanted) - set(target.specs):
        known = ", ".join(target.specs) or "none"
        raise PlanError(f"a workflow to explore must be one of the target's specs: {known}.")
    return target


def _state(given: argparse.Namespace, choice: Choice) -> State:
    """The exploration to resume, or a new one. Raises StateError, NoFolderError."""
    from chaos.search.explore.state import State

    if given.resume:
        return State.open(given.resume.absolute())
    # The stack's processes have folders of their own, in which a relative path leads nowhere.
    reports = given.reports.absolute()
    left = None if given.fresh else State.newest_unfinished(reports, choice)
    return left or State.begin(reports)


def _run(given: argparse.Namespace, target: Target, choice: Choice, state: State) -> int:
    from chaos.report.explored import write_report
    from chaos.search.crash.lanes import means_for
    from chaos.search.explore.explorer import explore

    say_if_read(f"{'going on in' if state.attempts else 'exploring into'} {state.folder}")
    try:
        with means_for(
            target,
            say_if_read,
            temporal_cli=given.temporal_cli,
            lanes=given.lanes,
            minutes=given.minutes,
        ) as means:
            asyncio.run(explore(state, choice, means))
    finally:
        report = write_report(state)
        if report:
            _tell(state)
    return 0 if report and report.summary.passed == report.summary.stops else NEGATIVE


def _tell(state: State) -> None:
    from chaos.report.explored import problem_lines, report_of, total_lines

    report = report_of(state)
    if report:
        for line in (*problem_lines(state), *total_lines(report.summary)):
            say_if_read(line)
        left = sum(not outcome.is_done for outcome in state.outcomes())
        if left:
            say_if_read(f"{left} crash points are left; the same command continues with them.")
        say_if_read(f"the table is in {state.folder / 'explore.md'}")

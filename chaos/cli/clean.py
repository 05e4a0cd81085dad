"""`clean`: old runs removed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from chaos.cli import NEGATIVE, UNUSABLE, Commands, add_parser
from chaos.cli.kept import KeptError, KeptRun, Plan, finish_removals, kept_runs, remove
from chaos.cli.terminal import ask, columns, say
from chaos.evidence import numbers
from chaos.process.streams import complain

_DEFAULT_KEEP = 5

_DESCRIPTION = """\
Removes old runs with their evidence, and says beforehand which and how large they are. What
reports/latest leads to stays, and so does a run that may still be written, and all that is
no run: explorations, tables, files of yours."""
_MORE = """\
examples:
  %(prog)s                    all but the 5 newest; asks
  %(prog)s --keep 1 --yes
  %(prog)s --reports=FOLDER

exit code:
  0  they are gone, or there were none
  1  you did not agree
  2  there is no such folder, something cannot be removed, or nobody is there
     to agree"""


def add(commands: Commands) -> None:
    """Make it known."""
    parser = add_parser(
        commands, "clean", summary="remove old runs", description=_DESCRIPTION, more=_MORE
    )
    parser.add_argument(
        "--keep",
        type=numbers.whole(0),
        default=_DEFAULT_KEEP,
        metavar="N",
        help=f"so many of the newest stay (default: {_DEFAULT_KEEP})",
    )
    parser.add_argument(
        "--reports",
        type=Path,
        default=Path("reports"),
        metavar="FOLDER",
        help="where runs are kept (default: reports)",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(command=_clean)


def _clean(given: argparse.Namespace) -> int:
    try:
        runs = kept_runs(given.reports)
        plan = Plan.of(runs, given.keep)
        for run in plan.in_hand:
            say(f"{run.folder.name} may still be written, and stays.")
        if not plan.going:
            finish_removals(given.reports)
            say(f"Nothing to remove: {_count(runs)} in {given.reports.resolve()}.")
            return 0
        _announce(runs, plan.going, given.reports)
        if not given.yes and not (sys.stdin and sys.stdin.isatty()):
            complain("nobody is here to agree to this; add --yes to remove them.")
            return UNUSABLE
        if not given.yes and not _agrees():
            say("Nothing was removed.")
            return NEGATIVE
        finish_removals(given.reports)
        for run in plan.going:
            remove(run)
    except KeptError as error:
        complain(str(error))
        return UNUSABLE
    say(f"Removed {_count(plan.going)}; {_count(runs[len(plan.going) :])} left.")
    return 0


def _announce(runs: Sequence[KeptRun], going: Sequence[KeptRun], reports: Path) -> None:
    sizes = [run.size_bytes for run in going]
    say(f"Of {_count(runs)} in {reports.resolve()}, {len(going)} to be removed:")
    rows = [
        (run.folder.name, _megabytes(size), "" if run.has_results else "broken off, no results")
        for run, size in zip(going, sizes, strict=True)
    ]
    for line in columns([*rows, ("together", _megabytes(sum(sizes)), "")], indent="  "):
        say(line)


def _agrees() -> bool:
    ask("Type yes to remove them: ")
    return sys.stdin.readline().strip().lower() == "yes"


def _count(runs: Sequence[KeptRun]) -> str:
    return f"{len(runs)} run" if len(runs) == 1 else f"{len(runs)} runs"


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1_000_000:>7.1f} MB"

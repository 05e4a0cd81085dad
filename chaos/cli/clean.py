"""`clean`: which old runs are removed, and how."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from chaos.cli import NEGATIVE, UNUSABLE, Commands, add_parser
from chaos.cli.terminal import ask, columns, say
from chaos.evidence import numbers
from chaos.process.run_lock import is_held
from chaos.process.streams import complain

_DEFAULT_KEEP = 5

_DESCRIPTION = """\
Removes old runs with their evidence. It first lists them with their sizes, and asks. It keeps the
run that reports/latest points at, a run that may still be in progress, and everything that is not
a run: explorations, tables, your own files."""
_MORE = """\
examples:
  %(prog)s                    all but the 5 newest; asks
  %(prog)s --keep 1 --yes
  %(prog)s --reports=FOLDER

exit code:
  0  the runs are removed, or there were none
  1  you did not agree
  2  there is no such folder, something cannot be removed, or there is no
     terminal to confirm on"""

_NAME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ)(?:-(\d+))?")
_LATEST = "latest"
_GOING = ".removing-"
"""The prefix of a run's name while it is being removed; then it is no longer a run."""

IN_HAND_SECONDS = 60 * 60.0
"""A run without results whose newest file is younger than this may still be in progress: the
longest time without a write, the installation of Temporal's server, is 20 minutes.
"""


def add(commands: Commands) -> None:
    """Register the command."""
    parser = add_parser(
        commands, "clean", summary="remove old runs", description=_DESCRIPTION, more=_MORE
    )
    parser.add_argument(
        "--keep",
        type=numbers.whole(0),
        default=_DEFAULT_KEEP,
        metavar="N",
        help=f"how many of the newest to keep (default: {_DEFAULT_KEEP})",
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
        for run in plan.in_use:
            say(f"{run.folder.name} may still be in progress, and is kept.")
        if not plan.going:
            finish_removals(given.reports)
            say(f"Nothing to remove: {_count(runs)} in {given.reports.resolve()}.")
            return 0
        _announce(runs, plan.going, given.reports)
        if not given.yes and not (sys.stdin and sys.stdin.isatty()):
            complain("there is no terminal to confirm on; add --yes to remove them.")
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


class KeptError(Exception):
    """The runs cannot be read or removed. One sentence: why, and what to do."""


@dataclass(frozen=True, order=True)
class KeptRun:
    """A run's folder; runs sort by their age, oldest first."""

    began: tuple[str, int]
    folder: Path

    @property
    def has_results(self) -> bool:
        """Whether it ended in order."""
        return (self.folder / "results.json").is_file()

    @property
    def size_bytes(self) -> int:
        """The size of all its files."""
        return sum(each.st_size for each in _stats(self.folder))

    @property
    def is_in_use(self) -> bool:
        """Whether it may be in progress: by its lock, or, without results, by its age."""
        if is_held(self.folder):
            return True
        if self.has_results:
            return False
        newest = max((each.st_mtime for each in _stats(self.folder)), default=0.0)
        return time.time() - newest < IN_HAND_SECONDS


def kept_runs(reports: Path) -> Sequence[KeptRun]:
    """All runs in a folder, oldest first. Raises KeptError."""
    if reports.is_symlink():
        raise KeptError(
            f"{reports} is a symbolic link; name the folder itself: {reports.resolve()}."
        )
    try:
        return sorted(run for entry in reports.iterdir() if (run := _as_run(entry)))
    except FileNotFoundError:
        raise KeptError(f"there is no folder {reports}; name yours by --reports FOLDER.") from None
    except OSError as error:
        raise KeptError(
            f"{reports} cannot be read ({error.strerror}); name another by --reports FOLDER."
        ) from None


@dataclass(frozen=True)
class Plan:
    """Of the older runs, which are removed, and which may still be in progress."""

    going: Sequence[KeptRun]
    in_use: Sequence[KeptRun]

    @classmethod
    def of(cls, runs: Sequence[KeptRun], keep: int) -> Self:
        """Keep so many of the newest, and the one that `latest` points at."""
        old = [run for run in runs[: max(0, len(runs) - keep)] if not _is_latest(run)]
        in_use = [run for run in old if run.is_in_use]
        return cls([run for run in old if run not in in_use], in_use)


def remove(run: KeptRun) -> None:
    """Remove it: at any time it is complete, or no longer a run. Raises KeptError."""
    going = run.folder.with_name(f"{_GOING}{run.folder.name}")
    _require_rights(run.folder)
    try:
        run.folder.rename(going)
        shutil.rmtree(going)
    except OSError as error:
        raise KeptError(
            f"{run.folder} cannot be removed ({error.strerror}): {error.filename}."
        ) from None


def _require_rights(folder: Path) -> None:
    """Check this first: a folder that is not writable would be only half removed."""
    folders = [folder, *(each for each in folder.rglob("*") if each.is_dir())]
    for each in folders:
        if not each.is_symlink() and not os.access(each, os.W_OK | os.X_OK):
            raise KeptError(
                f"{each} belongs to another user, or is read-only: nothing in it was removed."
            )


def finish_removals(reports: Path) -> None:
    """Remove what an interrupted removal left. Raises KeptError."""
    for left in reports.glob(f"{_GOING}*"):
        if left.is_symlink() or not _NAME.fullmatch(left.name.removeprefix(_GOING)):
            continue
        try:
            shutil.rmtree(left)
        except OSError as error:
            raise KeptError(f"{left} cannot be removed ({error.strerror}).") from None


def _as_run(entry: Path) -> KeptRun | None:
    """A folder with the name and contents of a run; never the target of a link."""
    named = _NAME.fullmatch(entry.name)
    if not named or entry.is_symlink() or not entry.is_dir():
        return None
    run = KeptRun((named[1], int(named[2] or 1)), entry)
    with suppress(PermissionError):  # it is another user's
        if run.has_results or _is_unfinished(entry):
            return run
    return None


def _is_unfinished(folder: Path) -> bool:
    """Whether an interrupted run may have left it: empty, or with cases of scenarios."""
    scenarios = [each for each in folder.iterdir() if each.is_dir()]
    return not any(folder.iterdir()) or any(s.glob("*/journal.jsonl") for s in scenarios)


def _is_latest(run: KeptRun) -> bool:
    return (run.folder.parent / _LATEST).resolve() == run.folder.resolve()


def _stats(folder: Path) -> Iterator[os.stat_result]:
    """The size of a folder; files that are removed meanwhile do not count."""
    for each in (folder, *folder.rglob("*")):
        with suppress(FileNotFoundError):
            yield each.lstat()

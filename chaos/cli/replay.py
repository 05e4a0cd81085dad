"""`replay`: whether today's code can go on with the histories that earlier code made."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.cli import NEGATIVE, Commands, UnusableError, add_parser
from chaos.cli.terminal import put, say
from chaos.plugin import options

if TYPE_CHECKING:
    from chaos.cli.replayers import Replay
    from chaos.evidence.exported import Exported

_DESCRIPTION = """\
Replays histories with today's workflow code: each as a whole, and up to each workflow task that a
worker got of it, from where the code runs on as it would after a deployment. It needs no server.
HISTORIES are files that `temporal workflow show --output json` wrote, or folders of them, or the
folder of a run, such as reports/latest."""
_MORE = """\
examples:
  %(prog)s reports/latest
  %(prog)s --workflows shop.workflow:Order histories/
  %(prog)s --command './my-replayer' histories/

A program of --command reads names of files from its standard input, one a
line. To each it answers with a line of JSON: {"file": NAME, "failure": ""},
or why that does not replay.

exit code:
  0  every history replays
  1  a history does not replay, at least up to one of its workflow tasks
  2  there is no history, or none of a workflow that is named, or something
     cannot be read, imported or started"""

_MOST_EVENTS = 4
"""Of one history are listed."""


def add(commands: Commands) -> None:
    """Register the command."""
    parser = add_parser(
        commands,
        "replay",
        summary="replay histories with today's workflow code",
        description=_DESCRIPTION,
        more=_MORE,
    )
    parser.add_argument("histories", type=Path, nargs="+", metavar="HISTORIES")
    code = parser.add_mutually_exclusive_group()
    code.add_argument(
        "--workflows",
        action="append",
        default=[],
        metavar="MODULE:CLASS",
        help="a workflow class, or a list of them; may be repeated "
        "(default: those that the project's targets give to replays_with)",
    )
    code.add_argument(
        "--command",
        dest="replayer",
        type=options.command,
        metavar="PROGRAM",
        help="a program that replays, in any language",
    )
    parser.set_defaults(command=_replay)


def _replay(given: argparse.Namespace) -> int:
    import asyncio

    from chaos.cli.replayers import replay_all

    histories = list(_found(given.histories))
    argv = given.replayer
    if not argv:
        histories = _of_these_types(histories, given.workflows)
        argv = (sys.executable, "-m", "chaos.cli.replayer", *given.workflows)
    began = time.monotonic()
    replays = asyncio.run(replay_all(argv, histories))
    took = time.monotonic() - began
    failed = [each for each in replays if each.failure]
    for row in _table(failed):
        put(row)
    broken = len({each.history.file for each in failed})
    prefixes = sum(not each.is_whole for each in replays)
    say(
        f"{len(histories) - broken} of {len(histories)} histories replay: {len(replays)} replays, "
        f"{prefixes} of them up to a workflow task in the middle, in {took:.1f} s."
    )
    return NEGATIVE if failed else 0


def _found(paths: Sequence[Path]) -> Iterator[Exported]:
    from chaos.evidence.exported import HistoryError, find_exported

    controls = [folder for path in paths for folder in _controls(path)]
    if controls:
        say(f"Left out: {len(controls)} cases of the run that are broken on purpose, as controls.")
    try:
        yield from find_exported(paths, controls)
    except HistoryError as error:
        raise UnusableError(str(error)) from None


def _controls(run: Path) -> Iterator[Path]:
    """The folders of a run's cases whose workflows need not replay: other code made them."""
    from chaos.experiment.reading import ReadingError, read_run
    from chaos.report.evidence import evidence_folder

    if not (run / "results.json").is_file():
        return
    try:
        result = read_run(run)
    except ReadingError as error:
        raise UnusableError(str(error)) from None
    for scenario in result.scenarios:
        for case in scenario.cases:
            if case.control:
                yield evidence_folder(run, scenario.name, case.name)


def _of_these_types(histories: Sequence[Exported], names: Sequence[str]) -> list[Exported]:
    from chaos.cli.replayer import code_of

    kinds = {kind for code in code_of(names) for kind in code.kinds}
    others = Counter(each.kind for each in histories if each.kind not in kinds)
    if others:
        listed = ", ".join(f"{kind} ({count})" for kind, count in sorted(others.items()))
        say(f"Left out: {others.total()} histories of other workflow types: {listed}.")
    own = [each for each in histories if each.kind in kinds]
    if not own:
        raise UnusableError(
            f"none of {len(histories)} histories is of a workflow type that is named "
            f"({', '.join(sorted(kinds))}): name theirs with --workflows MODULE:CLASS."
        )
    return own


def _table(failed: Sequence[Replay]) -> Iterator[str]:
    """A row for each history, by the first of its replays that fails."""
    from chaos.evidence.text import cell

    if not failed:
        return
    yield "| Workflow | Type | Fails up to event | Why |"
    yield "|---|---|---|---|"
    by_file: dict[Path, list[Replay]] = {}
    for each in sorted(failed, key=lambda each: (each.history.file, each.length)):
        by_file.setdefault(each.history.file, []).append(each)
    for found in by_file.values():
        first = found[0]
        where = [f"{each.length}{' (whole)' if each.is_whole else ''}" for each in found]
        if len(where) > _MOST_EVENTS:
            where[_MOST_EVENTS - 1 : -1] = ["…"]
        total = len(first.history.events)
        if not found[-1].is_whole:
            where.append(f"but not {total} (whole)")
        names = (first.history.workflow_id, first.history.kind, ", ".join(where), first.failure)
        yield f"| {' | '.join(map(cell, names))} |"

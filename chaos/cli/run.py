"""`run`: pytest, with scenarios chosen by name."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.cli import UNUSABLE, Commands, add_parser, on, run_on
from chaos.cli.terminal import OutputError
from chaos.plugin import options
from chaos.process.streams import complain

if TYPE_CHECKING:
    from chaos.cli.selection import Selection

_SHORT = "--"
"""The prefix of the harness's options here; in pytest it is `PREFIX`."""

_DESCRIPTION = """\
Runs this project's scenarios, as pytest -m chaos does, with the same results and exit codes.
Names of scenarios come first and must be exact; everything from the first option on goes to
pytest, where the options below are called --chaos-…."""
_MORE = """\
examples:
  %(prog)s                                    all scenarios
  %(prog)s NAME OTHER                         these two
  %(prog)s NAME --topology postgres
  %(prog)s --seed 1-10 --faults kill,network  drawn at random
  %(prog)s --replay=reports/latest            the same faults again
  %(prog)s -q -x --junitxml=FILE              pytest's own
  %(prog)s --seed 1- --minutes 480 \\
    --on HOST:PORT --evidence s3://bucket/chaos  a night, on many machines

exit code: that of pytest
  0  everything that ran passed     2  Ctrl-C, or there is no such scenario
  1  something did not pass         4  a mistake in the options
                                    5  nothing to run
with --on
  0  every case passed              2  it cannot start
  1  something did not pass       130  Ctrl-C; the campaign goes on"""


def add(commands: Commands) -> None:
    """Register the command. Its options are declared for help: pytest reads them."""
    parser = add_parser(
        commands,
        "run",
        summary="run scenarios: pytest -m chaos",
        description=_DESCRIPTION,
        more=_MORE,
    )
    parser.usage = "%(prog)s [SCENARIO ...] [OPTION ...]"
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help="its name (default: all of them)"
    )
    group = parser.add_argument_group("options of the harness; pytest has more")
    options.add_options(group.add_argument, _SHORT)
    on.add_options(parser, with_minutes=True)
    parser.set_defaults(command=_run)


def split(arguments: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Split the arguments: everything from the first option of `run` on goes to pytest."""
    if arguments[:1] != ["run"]:
        return arguments, ()
    first = next((at for at, each in enumerate(arguments) if each.startswith("-")), None)
    if first is None:
        return arguments, ()
    if {"-h", "--help"} & set(arguments[first:]):
        return ("run", "--help"), ()
    return arguments[:first], arguments[first:]


def for_pytest(passed_on: Sequence[str]) -> list[str]:
    """The arguments of `run`, with the harness's options as pytest knows them."""
    long = dict(zip(_names(_SHORT), _names(options.PREFIX), strict=True))
    parts = [each.partition("=") for each in passed_on]
    return [f"{long.get(name, name)}{equals}{value}" for name, equals, value in parts]


def _names(prefix: str) -> list[str]:
    declared: list[str] = []
    options.add_options(lambda name, **_: declared.append(name), prefix)
    return declared


def _run(given: argparse.Namespace) -> int:
    if run_on.is_asked(given.passed_on):
        return run_on.carry_out(given.scenarios, given.passed_on)

    import pytest

    from chaos.cli.selection import Selection

    selection = Selection(given.scenarios)
    try:
        code = int(pytest.main(["-m", "chaos", *for_pytest(given.passed_on)], plugins=[selection]))
    except BrokenPipeError:
        raise
    except OSError as error:  # what pytest prints: of all else it tells itself
        raise OutputError.of(error) from None
    if selection.is_unknown:
        return UNUSABLE
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        complain(_nothing_to_run(selection))
    return code


def _nothing_to_run(selection: Selection) -> str:
    if selection.known:
        return "No scenario matches these options: remove some, such as -k or -m."
    return (
        f"No test in {Path.cwd()} is marked chaos: change to the folder of a project that has "
        "scenarios, and run it there."
    )

"""`run`: pytest, with scenarios chosen by their names."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.cli import UNUSABLE, Commands, add_parser
from chaos.cli.terminal import OutputError
from chaos.plugin import options
from chaos.process.streams import complain

if TYPE_CHECKING:
    from chaos.cli.selection import Selection

_FOLDER = Path(__file__).parent.parent / "scenarios"

_DESCRIPTION = """\
Runs scenarios: it is pytest -m chaos, with the same results and exit codes. Names choose
scenarios exactly, and come first; all from the first option on goes to pytest. In a project
of your own it runs what is marked chaos there."""
_MORE = """\
examples:
  %(prog)s                                    all scenarios
  %(prog)s worker_crash checkpoint            these two
  %(prog)s concurrency --workflows 50
  %(prog)s server_restart --topology postgres
  %(prog)s --seed 1-10 --faults kill,network  drawn at random
  %(prog)s --replay=reports/latest            the same again
  %(prog)s worker_crash --live --budget 1.00  real, paid; asks
  %(prog)s -q -x --junitxml=FILE              pytest's own

exit code: that of pytest
  0  all that ran has passed     2  Ctrl-C, or there is no such scenario
  1  something has not           4  a mistake in the options
                                 5  there was nothing to run"""


def add(commands: Commands) -> None:
    """Make it known. Its options are declared for help and completion: pytest reads them."""
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
    options.add_options(parser.add_argument_group("of the suite; pytest has more").add_argument)
    parser.set_defaults(command=_run)


def split(arguments: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """What is ours to read, and what goes to pytest: all from the first option of `run` on."""
    if arguments[:1] != ["run"]:
        return arguments, ()
    first = next((at for at, each in enumerate(arguments) if each.startswith("-")), None)
    if first is None:
        return arguments, ()
    if {"-h", "--help"} & set(arguments[first:]):
        return ("run", "--help"), ()
    return arguments[:first], arguments[first:]


def scenario_names() -> list[str]:
    """The suite's own scenarios, by their files: to import them all takes more than a second."""
    return sorted({file.stem for file in _FOLDER.glob("*.py")} - {"__init__", "catalogue"})


def _run(given: argparse.Namespace) -> int:
    import pytest  # noqa: PLC0415 - see the package's docstring

    from chaos.cli.selection import Selection  # noqa: PLC0415 - likewise

    selection = Selection(given.scenarios)
    try:
        code = int(pytest.main(["-m", "chaos", *given.passed_on], plugins=[selection]))
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
        return "No scenario fits these options: leave some of them out, such as -k or -m."
    return (
        f"No test in {Path.cwd()} is marked chaos: go to the folder of a project that has "
        "scenarios, and call it there."
    )

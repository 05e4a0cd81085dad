"""`report`: shows a run again, compares it to another, or shows the last ten."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.cli import NEGATIVE, UNUSABLE, Commands, UnusableError, add_parser
from chaos.cli.terminal import put, say, say_all, width
from chaos.evidence import numbers
from chaos.evidence import text as shown
from chaos.process.streams import complain

if TYPE_CHECKING:
    from chaos.environment.target import Target
    from chaos.experiment.results import RunResult
    from chaos.report.compare import Comparison
    from chaos.report.html.views import Reader

_RUN = Path("reports/latest")

_IN_ASCII = str.maketrans("✓✗", "+x")
"""Signs that must stay distinct where the output's encoding lacks them."""

_DESCRIPTION = """\
Shows a run's tables again, and rewrites its report.html, results.md, summary.md and junit.xml.
The evidence and results.json stay as they are: the verdicts are the recorded ones (recheck
computes them again)."""
_MORE = """\
examples:
  %(prog)s                      the last run
  %(prog)s RUN --against OTHER  what turned red, or costs more
  %(prog)s --trend              the last ten runs, side by side
  %(prog)s --trace chrome       traces, for ui.perfetto.dev
  %(prog)s --markdown | gh pr comment --body-file -

exit code:
  0  done
  1  with --against: something turned red, or is new and does not pass; with
     --strict also: more expensive, slower, more attempts, or not run
  2  wrong options, no such run, no case in common, or a file could not be
     written"""


def add(commands: Commands) -> None:
    """Register the command."""
    parser = add_parser(
        commands,
        "report",
        summary="show a run again, compare two runs, or show the trend",
        description=_DESCRIPTION,
        more=_MORE,
    )
    parser.add_argument(
        "run", type=Path, nargs="?", default=_RUN, metavar="RUN", help=f"default: {_RUN}"
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--against", type=Path, metavar="OTHER", help="compare to this run")
    kind.add_argument(
        "--trend", action="store_true", help="show the last ten runs beside RUN; writes nothing"
    )
    parser.add_argument(
        "--strict", action="store_true", help="with --against: exit code 1 if anything is worse"
    )
    parser.add_argument(
        "--noise",
        type=_percent,
        metavar="PERCENT",
        help="with --against: ignore differences in time up to this, and up to 1 s (default: 20)",
    )
    parser.add_argument(
        "--markdown", action="store_true", help="print only the summary; writes nothing"
    )
    parser.add_argument(
        "--trace",
        choices=("chrome", "otlp"),
        help="write the timeline of each case beside its evidence, and nothing else: for "
        "Perfetto and chrome://tracing, or as OpenTelemetry's JSON",
    )
    parser.set_defaults(command=_report)


def _percent(text: str) -> float:
    percent = numbers.number(text.removesuffix("%"))
    if not 0 <= percent <= 1000:
        raise argparse.ArgumentTypeError(
            f"must be a number from 0 to 1000, not {numbers.quoted(text)}"
        )
    return percent


def _report(given: argparse.Namespace) -> int:
    from chaos.experiment.reading import ReadingError

    if given.against is None and (given.strict or given.noise is not None):
        complain("--strict and --noise need --against.")
        return UNUSABLE
    if given.trend and given.markdown:
        complain("--markdown prints the summary of one run; leave out --trend.")
        return UNUSABLE
    if given.trace and (given.trend or given.markdown or given.against):
        complain("--trace writes traces alone; leave out the other options.")
        return UNUSABLE
    try:
        if given.trace:
            return _trace(given)
        return _trend(given) if given.trend else _run(given)
    except ReadingError as error:
        complain(str(error))
        return UNUSABLE


def _trend(given: argparse.Namespace) -> int:
    from chaos.report.trend import trend, trend_lines

    _say_all(trend_lines(trend(given.run.absolute().parent)))
    return 0


def _trace(given: argparse.Namespace) -> int:
    """Write the trace of each case; what cannot be read is said, and the others are written."""
    from chaos.experiment.reading import read_run
    from chaos.report.evidence import evidence_folder
    from chaos.report.html.views import UNREADABLE
    from chaos.report.trace import write_trace

    read, code = _reader(), 0
    for scenario in read_run(given.run).scenarios:
        for case in scenario.cases:
            folder = evidence_folder(given.run, scenario.name, case.name)
            recovered = {f.at: f.recovery_s.total for f in case.faults if f.recovery_s}
            try:
                file = write_trace(folder, given.trace, read(folder), recovered)
            except UNREADABLE as error:
                reason = (str(error) or type(error).__name__).splitlines()[0]
                complain(f"{scenario.name}/{case.name} has no trace: {reason.rstrip('.')}.")
                code = UNUSABLE
            else:
                _say_all([f"Written: {file}"])
    return code


def _run(given: argparse.Namespace) -> int:
    from chaos.experiment.reading import read_run
    from chaos.report.compare import compare, comparison_lines
    from chaos.report.differences import Noise
    from chaos.report.files import outcome_lines
    from chaos.report.summary import summary

    result = read_run(given.run)
    found = None
    if given.against:
        noise = Noise() if given.noise is None else Noise(share=given.noise / 100)
        found = compare(result, read_run(given.against), noise)
    text = summary(result, comparison=found)
    if given.markdown:
        put(_writable(text.rstrip()))
        return _exit_code(found, given)
    _say_all(outcome_lines(result, given.run))
    if found:
        _say_all(["", *comparison_lines(found)])
    written = _write(given, result, text)
    return _exit_code(found, given) if written else UNUSABLE


def _write(given: argparse.Namespace, result: RunResult, text: str) -> bool:
    """Write the reports from the results, and print where; whether all were written."""
    from chaos.report.files import write_derived
    from chaos.report.html import HtmlError, write_html

    try:
        files = write_derived(result, given.run, text)
        files = (write_html(given.run, against=given.against, read=_reader()), *files)
    except OSError as error:
        complain(
            f"the report could not be written to {given.run} ({error.strerror}); "
            "make the folder writable, or copy the run elsewhere."
        )
        return False
    except HtmlError as error:
        complain(str(error))
        return False
    _say_all(["", *(f"Written: {file}" for file in files)])
    return True


def _reader() -> Reader:
    """Read the evidence; that of an older version, which has no payment records, by the targets of
    this project, if it names any.
    """
    from chaos.cli.project import targets_here
    from chaos.evidence.case import BILLS, Evidence
    from chaos.report.evidence import load_evidence

    @cache
    def targets() -> Sequence[Target]:
        try:
            return targets_here()
        except UnusableError:
            return ()

    def read(folder: Path) -> Evidence:
        if (folder / BILLS).exists():
            return Evidence.load(folder)
        return load_evidence(folder, targets())[1]

    return read


def _exit_code(found: Comparison | None, given: argparse.Namespace) -> int:
    if found is None:
        return 0
    if not found.pairs:
        complain(
            f"{given.run} and {given.against} have no case in common; "
            "name a run of the same scenarios."
        )
        return UNUSABLE
    return NEGATIVE if found.turned_red or (given.strict and found.is_worse) else 0


def _say_all(lines: Sequence[str]) -> None:
    """Wrap text between words on a narrow terminal; a table's lines stay whole."""
    most = width()
    for line in map(_writable, map(shown.line, lines)):
        if most is None or len(line) <= most or line.startswith("|"):
            say(line)
            continue
        indent = line[: len(line) - len(line.lstrip())]
        wrapped = textwrap.wrap(line, most, subsequent_indent=f"{indent}  ", break_on_hyphens=False)
        say_all(wrapped or [""])


def _writable(text: str) -> str:
    """The text with signs that standard output can encode."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return text.translate(_IN_ASCII)
    return text

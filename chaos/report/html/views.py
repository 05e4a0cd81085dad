"""What the page shows, put together from the results and each case's evidence. No HTML yet."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

from google.protobuf.json_format import ParseError

from chaos.evidence.case import Evidence
from chaos.evidence.files import is_own_file
from chaos.evidence.journal import Entry, Event, read_journal
from chaos.evidence.samples import Sample, SamplesError
from chaos.experiment.reading import ReadingError
from chaos.experiment.results import CaseResult, CheckResult, RunResult, ScenarioResult
from chaos.invariants.verdict import Verdict
from chaos.network.journal import NetworkJournalError
from chaos.report.again import Command, Commands
from chaos.report.compare import Comparison, compare, conclusion
from chaos.report.coverage import Matrix, matrix
from chaos.report.evidence import evidence_folder
from chaos.report.html.chart import SHOWN, Chart, charts
from chaos.report.html.logs import Excerpt, Window, excerpt, read_lines
from chaos.report.html.plots import Plots, plots
from chaos.report.html.series import measures
from chaos.report.html.timeline import timeline
from chaos.report.html.values import Timeline
from chaos.report.table import broken, totals
from chaos.report.trend import Trend, trend

UNREADABLE = (
    *(OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError),
    *(NetworkJournalError, ParseError),
)
"""What the reading of damaged evidence raises."""

_LINES = {True: 30, False: 80}
"""Lines of logs that a case shows, by whether it passed."""

_BEFORE, _AFTER = timedelta(seconds=2), timedelta(seconds=5)
_FOLDERS = ("histories", "children", "logs", "network")


Reader = Callable[[Path], Evidence]
"""Reads the evidence in a case's folder."""


@dataclass(frozen=True)
class CaseView:
    """One case. `trouble` says why it has no timeline; `links` are the addresses of its files,
    relative to the page, and their names.
    """

    result: CaseResult
    anchor: str
    chart: Chart | None
    others: Chart | None
    plots: Plots | None
    timeline: Timeline | None
    trouble: str
    logs: Excerpt
    journal: Sequence[Entry]
    commands: tuple[Command, ...]
    links: Sequence[tuple[str, str]]

    @property
    def folded(self) -> int:
        """How many workflows have no row of their own."""
        return max(0, len(self.timeline.workflows) - SHOWN) if self.timeline else 0

    @property
    def broken(self) -> Sequence[CheckResult]:
        """The checks that do not hold."""
        return broken(self.result)

    @property
    def scale_s(self) -> float:
        """The width of the drawing of its recoveries."""
        found = [fault.recovery_s for fault in self.result.faults if fault.recovery_s]
        bounds = [r.bound for r in found if math.isfinite(r.bound)]
        return max([*(r.total for r in found), *bounds], default=0.0)

    def seconds(self, at: datetime) -> float | None:
        """A time as seconds from the case's begin, where the journal tells it."""
        return (at - self.journal[0].at).total_seconds() if self.journal else None

    def brief(self) -> CaseView:
        """Of a case that passed, less: what takes the most room is left out."""
        if self.result.verdict is not Verdict.PASSED:
            return self
        why = "Timeline and logs are left out, so that this page stays small"
        return replace(self, trouble=why, chart=None, others=None, plots=None, logs=Excerpt((), 0))


@dataclass(frozen=True)
class ScenarioView:
    """One row of the table, and its cases."""

    result: ScenarioResult
    anchor: str
    cases: tuple[CaseView, ...]
    commands: tuple[Command, ...]


@dataclass(frozen=True)
class RunView:
    """The whole page. `conclusion` is the comparison in a sentence."""

    result: RunResult
    verdict: Verdict
    headline: str
    scenarios: tuple[ScenarioView, ...]
    command: Command
    wall_s: float
    totals: tuple[Decimal, ...]
    comparison: Comparison | None
    conclusion: str
    matrix: Matrix | None
    trend: Trend | None

    def brief(self) -> RunView:
        """The same with less of what passed."""
        scenarios = (
            replace(s, cases=tuple(case.brief() for case in s.cases)) for s in self.scenarios
        )
        return replace(self, scenarios=tuple(scenarios))


def run_view(
    run: RunResult, folder: Path, against: RunResult | None, read: Reader = Evidence.load
) -> RunView:
    """All that is to be shown of a run whose evidence is to be read so."""
    again = Commands(run, folder)
    scenarios = tuple(_scenario(s, folder, again, read) for s in run.scenarios)
    comparison = compare(run, against) if against else None
    return RunView(
        result=run,
        verdict=run.verdict,
        headline=_headline(run),
        scenarios=scenarios,
        command=again.of_all(),
        wall_s=_wall_s(run, scenarios),
        totals=totals(run),
        comparison=comparison,
        conclusion=conclusion(comparison) if comparison else "",
        matrix=matrix(run),
        trend=_trend(folder),
    )


def _headline(run: RunResult) -> str:
    """The verdict in a line."""
    drawn = run.seed is not None
    parts = [case for s in run.scenarios for case in s.cases] if drawn else run.scenarios
    counts = Counter(part.verdict for part in parts)
    noun, beside = "schedule" if drawn else "scenario", run.overall.not_run
    words = [f"{counts[v]} {v}" for v in (Verdict.FAILED, Verdict.UNKNOWN) if counts[v]]
    if not parts:
        words = [f"No {noun} has run"]
    elif len(parts) == 1:
        words = [f"The {noun} {'is unknown' if Verdict.UNKNOWN in counts else parts[0].verdict}"]
    elif words:
        words[0] = words[0].replace(" ", f" of {len(parts)} {noun}s ", 1)
    else:
        words = [f"All {len(parts)} {noun}s passed"]
    never = len(run.unmet)
    goals = f"{never} goal{'' if never == 1 else 's'} never met"
    rest = [*([f"{beside} not run"] if beside else []), *([goals] if never else [])]
    return ", ".join([*words, *rest])


def _trend(folder: Path) -> Trend | None:
    """The runs beside this one; None where it is the only one."""
    try:
        found = trend(folder.absolute().parent)
    except ReadingError:
        return None
    return found if len(found.runs) > 1 else None


def _wall_s(run: RunResult, scenarios: Sequence[ScenarioView]) -> float:
    """From its begin to the last entry of any journal."""
    journals = [case.journal for scenario in scenarios for case in scenario.cases if case.journal]
    longest = max((s.duration_s for s in run.scenarios), default=0.0)
    ends = ((journal[-1].at - run.started_at).total_seconds() for journal in journals)
    return max([longest, *ends])


def _scenario(
    scenario: ScenarioResult, folder: Path, again: Commands, read: Reader
) -> ScenarioView:
    return ScenarioView(
        result=scenario,
        anchor=_anchor(scenario.name),
        cases=tuple(_case(scenario, case, folder, again, read) for case in scenario.cases),
        commands=again.of(scenario),
    )


def _case(
    scenario: ScenarioResult, case: CaseResult, folder: Path, again: Commands, read: Reader
) -> CaseView:
    own = evidence_folder(folder, scenario.name, case.name)
    journal = _journal(own)
    lines = read_lines(own / "logs", journal)
    found: Timeline | None = None
    trouble = ""
    chart = others = drawn = None
    try:
        recovered = {f.at: f.recovery_s.total for f in case.faults if f.recovery_s}
        evidence = read(own)
        found = timeline(evidence, lines, recovered)
        chart, others = charts(found)
        samples, trouble = _samples(evidence)
        drawn = plots(measures(evidence, samples, found.first, found.last), found, chart)
    except UNREADABLE as error:
        trouble = f"Its evidence cannot be read, so there is no timeline: {_words(error)}"
    windows = [*_windows(case, journal, found)]
    return CaseView(
        result=case,
        anchor=_anchor(scenario.name, case.name),
        chart=chart,
        others=others,
        plots=drawn,
        timeline=found,
        trouble=trouble,
        logs=excerpt(lines, windows, most=_LINES[case.verdict is Verdict.PASSED]),
        journal=journal,
        commands=again.of_case(scenario, case),
        links=[_link(file, folder) for file in sorted(_files(own))],
    )


def _samples(evidence: Evidence) -> tuple[Sequence[Sample], str]:
    """What was measured, or why that cannot be read."""
    try:
        return evidence.samples, ""
    except (SamplesError, OSError) as error:
        return (), f"What was measured meanwhile cannot be read: {_words(error).rstrip('.')}"


def _anchor(*names: str) -> str:
    """The id of a part of the page, which no other part has."""
    return "-".join(["at", *(re.sub(r"[^\w-]", "-", name) for name in names)])


def _journal(folder: Path) -> Sequence[Entry]:
    """What can be read of it; nothing where it is damaged, for the timeline says so."""
    try:
        return read_journal(folder / "journal.jsonl")
    except UNREADABLE:
        return ()


def _words(error: Exception) -> str:
    """The first line of what it says; pydantic says a lot."""
    text = str(error) or type(error).__name__
    name = getattr(error, "filename", None)
    if isinstance(error, OSError) and name:
        return f"{Path(str(name)).name}: {error.strerror}"
    return text.splitlines()[0]


def _windows(
    case: CaseResult, journal: Sequence[Entry], found: Timeline | None
) -> Iterator[Window]:
    """Around each fault and each trouble, and when the work that it broke went on; of a case that
    did not pass all the time that its faults were there.
    """
    for fault in case.faults:
        yield fault.at - _BEFORE, fault.at + _AFTER
        if fault.recovery_s:
            on = fault.at + timedelta(seconds=fault.recovery_s.waited)
            yield on - _BEFORE, on + _BEFORE
    troubles = [entry.at for entry in journal if entry.event is Event.TROUBLE]
    yield from ((at - _AFTER, at + _BEFORE) for at in troubles)
    if case.verdict is Verdict.PASSED or not journal:
        return
    if not case.faults and not troubles:
        yield journal[0].at, journal[-1].at
    for span in found.faults if found else ():
        start, end = (journal[0].at + timedelta(seconds=at) for at in (span.start, span.end))
        yield start - _BEFORE, end + _AFTER


def _files(folder: Path) -> Iterator[Path]:
    # With those of its own that a target's services put there.
    patterns = ("[!.]*", *(f"{name}/*" for name in _FOLDERS))
    found = (file for pattern in patterns for file in folder.glob(pattern))
    return (file for file in found if is_own_file(file, folder))


def _link(file: Path, folder: Path) -> tuple[str, str]:
    relative = file.relative_to(folder)
    # As bytes: a name need be no text.
    return quote(os.fsencode(relative)), "/".join(relative.parts[2:])

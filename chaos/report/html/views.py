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
from itertools import takewhile
from pathlib import Path
from urllib.parse import quote

from google.protobuf.json_format import ParseError

from chaos.evidence.case import Evidence
from chaos.evidence.files import is_own_file
from chaos.evidence.journal import Entry, Event, read_journal
from chaos.experiment.reading import ReadingError
from chaos.experiment.results import (
    CaseResult,
    CheckResult,
    FaultResult,
    RunResult,
    ScenarioResult,
)
from chaos.invariants.verdict import Verdict, merge
from chaos.network.journal import NetworkJournalError
from chaos.report.compare import Comparison, compare, conclusion
from chaos.report.evidence import evidence_folder
from chaos.report.html.again import Command, Commands
from chaos.report.html.chart import SHOWN, Chart, charts
from chaos.report.html.logs import Excerpt, Window, excerpt, read_lines
from chaos.report.html.timeline import timeline
from chaos.report.html.values import Timeline
from chaos.report.table import totals
from chaos.report.trend import Trend, trend

UNREADABLE = (
    *(OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError),
    *(NetworkJournalError, ParseError),
)
"""What the reading of damaged evidence raises."""

_LINES = {True: 30, False: 80}
"""Lines of logs that a case shows, by whether it passed."""

_BEFORE, _AFTER = timedelta(seconds=2), timedelta(seconds=5)
_MOST_FILES = 40
_FOLDERS = ("histories", "children", "logs", "network")


Reader = Callable[[Path], Evidence]
"""Reads the evidence in a case's folder."""

FIRST_INVARIANT = "workflows_end_as_expected"
"""The one that stood first in every case of older runs."""


@dataclass(frozen=True)
class Recovered:
    """A fault and what came of it. `at` is in seconds from the case's begin, None where that is
    not known.
    """

    fault: FaultResult
    at: float | None

    @property
    def is_late(self) -> bool:
        """Whether work went on later than its bound."""
        found = self.fault.recovery_s
        return found is not None and found.waited > found.bound


@dataclass(frozen=True)
class Link:
    """A file of the evidence, relative to the page."""

    href: str
    name: str


@dataclass(frozen=True)
class CaseView:
    """One case. `trouble` says why it has no timeline; `scale_s` is the width of its recoveries.

    Of one that `is_cut` what takes the most room is not shown.
    """

    result: CaseResult
    anchor: str
    chart: Chart | None
    others: Chart | None
    timeline: Timeline | None
    trouble: str
    faults: tuple[Recovered, ...]
    scale_s: float
    logs: Excerpt
    begin: datetime | None
    end: datetime | None
    commands: tuple[Command, ...]
    links: tuple[Link, ...]
    more_files: int
    is_cut: bool = False

    def cut(self, *, bare: bool) -> CaseView:
        """Less of the same, or `bare` of its drawing as well; one that broke is left whole."""
        if self.broken:
            return self
        chart = None if bare else self.chart
        return replace(self, chart=chart, others=None, logs=Excerpt((), 0), is_cut=True)

    @property
    def folded(self) -> int:
        """How many workflows have no row of their own."""
        return max(0, len(self.timeline.workflows) - SHOWN) if self.timeline else 0

    @property
    def broken(self) -> Sequence[CheckResult]:
        """The checks that do not hold."""
        return [check for check in self.result.checks if check.verdict is not Verdict.PASSED]

    @property
    def proofs(self) -> Sequence[CheckResult]:
        """Those that show that the fault hit: they stand before the invariants."""
        checks = self.result.checks
        if any(check.is_proof for check in checks):
            return [*takewhile(lambda check: check.is_proof, checks)]
        # Before release 0.2 nothing said which they were.
        return [*takewhile(lambda check: check.check != FIRST_INVARIANT, checks)]

    @property
    def invariants(self) -> Sequence[CheckResult]:
        """All others."""
        return self.result.checks[len(self.proofs) :]

    def seconds(self, at: datetime) -> float | None:
        """A moment as seconds from the case's begin."""
        return (at - self.begin).total_seconds() if self.begin else None


@dataclass(frozen=True)
class ScenarioView:
    """One row of the table, and its cases."""

    result: ScenarioResult
    anchor: str
    cases: tuple[CaseView, ...]
    commands: tuple[Command, ...]

    def cut(self, *, bare: bool) -> ScenarioView:
        """The same with less of what passed."""
        return replace(self, cases=tuple(case.cut(bare=bare) for case in self.cases))

    @property
    def passed(self) -> bool:
        """Whether there is nothing to worry about."""
        return self.result.verdict is Verdict.PASSED


@dataclass(frozen=True)
class RunView:
    """The whole page."""

    result: RunResult
    verdict: Verdict
    scenarios: tuple[ScenarioView, ...]
    command: Command
    wall_s: float
    totals: tuple[Decimal, ...]
    comparison: Comparison | None
    trend: Trend | None

    def cut(self, *, bare: bool) -> RunView:
        """The same with less of what passed."""
        return replace(self, scenarios=tuple(s.cut(bare=bare) for s in self.scenarios))

    @property
    def conclusion(self) -> str:
        """The comparison in a sentence."""
        return conclusion(self.comparison) if self.comparison else ""

    @property
    def headline(self) -> str:
        """The verdict in a line."""
        drawn = self.result.seed is not None
        scenarios = self.result.scenarios
        parts = [case for s in scenarios for case in s.cases] if drawn else scenarios
        counts = Counter(part.verdict for part in parts)
        noun, beside = "schedule" if drawn else "scenario", self.result.overall.not_run
        told = [f"{counts[v]} {v}" for v in (Verdict.FAILED, Verdict.UNKNOWN) if counts[v]]
        if not parts:
            told = [f"No {noun} has run"]
        elif len(parts) == 1:
            told = [f"The {noun} {'is unknown' if Verdict.UNKNOWN in counts else parts[0].verdict}"]
        elif told:
            told[0] = told[0].replace(" ", f" of {len(parts)} {noun}s ", 1)
        else:
            told = [f"All {len(parts)} {noun}s passed"]
        return ", ".join([*told, *([f"{beside} not run"] if beside else [])])

    @property
    def troubled(self) -> Sequence[ScenarioView]:
        """What did not pass, the failed before the unknown."""
        found = [scenario for scenario in self.scenarios if not scenario.passed]
        return sorted(found, key=lambda s: s.result.verdict is not Verdict.FAILED)


def run_view(
    run: RunResult, folder: Path, against: RunResult | None, read: Reader = Evidence.load
) -> RunView:
    """All that is to be shown of a run whose evidence is to be read so."""
    again = Commands(run, folder)
    scenarios = tuple(_scenario(s, folder, again, read) for s in run.scenarios)
    return RunView(
        result=run,
        verdict=merge(s.verdict for s in run.scenarios),
        scenarios=scenarios,
        command=again.of_all(),
        wall_s=_wall_s(run, scenarios),
        totals=totals(run),
        comparison=compare(run, against) if against else None,
        trend=_trend(folder),
    )


def _trend(folder: Path) -> Trend | None:
    """The runs beside this one; None where it is the only one."""
    try:
        found = trend(folder.absolute().parent)
    except ReadingError:
        return None
    return found if len(found.runs) > 1 else None


def _wall_s(run: RunResult, scenarios: Sequence[ScenarioView]) -> float:
    """From its begin to the last entry of any journal."""
    ends = [case.end for scenario in scenarios for case in scenario.cases if case.end]
    longest = max((s.duration_s for s in run.scenarios), default=0.0)
    return max([longest, *((end - run.started_at).total_seconds() for end in ends)])


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
    begin = journal[0].at if journal else None
    lines = read_lines(own / "logs", journal)
    recovered = {f.at: f.recovery_s.total for f in case.faults if f.recovery_s}
    found: Timeline | None = None
    trouble = ""
    try:
        found = timeline(read(own), lines, recovered)
    except UNREADABLE as error:
        trouble = f"Its evidence cannot be read, so there is no timeline: {_words(error)}"
    chart, others = charts(found) if found else (None, None)
    files = sorted(_files(own))
    windows = [*_windows(case, journal), *_windows_of_faults(case, found, begin)]
    return CaseView(
        result=case,
        anchor=_anchor(scenario.name, case.name),
        chart=chart,
        others=others,
        timeline=found,
        trouble=trouble,
        faults=tuple(
            Recovered(f, (f.at - begin).total_seconds() if begin else None) for f in case.faults
        ),
        scale_s=_longest(case.faults),
        logs=excerpt(lines, windows, most=_LINES[case.verdict is Verdict.PASSED]),
        begin=begin,
        end=journal[-1].at if journal else None,
        commands=again.of_case(scenario, case),
        links=tuple(_link(file, folder) for file in files[:_MOST_FILES]),
        more_files=max(0, len(files) - _MOST_FILES),
    )


def _anchor(*names: str) -> str:
    """A place on the page, which no other part of it is called like."""
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


def _longest(faults: Sequence[FaultResult]) -> float:
    found = [fault.recovery_s for fault in faults if fault.recovery_s]
    bounds = [r.bound for r in found if math.isfinite(r.bound)]
    return max([*(r.total for r in found), *bounds], default=0.0)


def _windows(case: CaseResult, journal: Sequence[Entry]) -> list[Window]:
    """Around each fault and each trouble, and when the work that it broke went on."""
    moments = [(fault.at - _BEFORE, fault.at + _AFTER) for fault in case.faults]
    for fault in case.faults:
        if fault.recovery_s:
            on = fault.at + timedelta(seconds=fault.recovery_s.waited)
            moments.append((on - _BEFORE, on + _BEFORE))
    troubles = [entry.at for entry in journal if entry.event is Event.TROUBLE]
    moments += [(at - _AFTER, at + _BEFORE) for at in troubles]
    if not moments and journal and case.verdict is not Verdict.PASSED:
        moments.append((journal[0].at, journal[-1].at))
    return moments


def _windows_of_faults(
    case: CaseResult, found: Timeline | None, begin: datetime | None
) -> Iterator[Window]:
    """Of a case that did not pass: all the time that its faults were there."""
    if case.verdict is Verdict.PASSED or not found or not begin:
        return
    for fault in found.faults:
        start, end = (begin + timedelta(seconds=at) for at in (fault.start, fault.end))
        yield start - _BEFORE, end + _AFTER


def _files(folder: Path) -> Iterator[Path]:
    # With those of its own that a target's services put there.
    patterns = ("[!.]*", *(f"{name}/*" for name in _FOLDERS))
    found = (file for pattern in patterns for file in folder.glob(pattern))
    return (file for file in found if is_own_file(file, folder))


def _link(file: Path, folder: Path) -> Link:
    relative = file.relative_to(folder)
    # As bytes: a name need be no text.
    return Link(quote(os.fsencode(relative)), "/".join(relative.parts[2:]))

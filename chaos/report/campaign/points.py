"""The report of `explore` or of `probe`, from the store of a campaign that has tried its points:
the files are those that the command writes on one machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from chaos.evidence.files import write_file
from chaos.invariants.verdict import Verdict
from chaos.report.campaign.reading import Kept
from chaos.report.explored import problem_lines, total_lines
from chaos.report.explored import write_report as write_explored
from chaos.report.probed import terminal_lines
from chaos.report.probed import write_reports as write_probed
from chaos.search.campaign import names
from chaos.search.campaign.bundles import BundleError, unpack, unpack_undisturbed
from chaos.search.campaign.model import CaseRecord, Explore, Probe
from chaos.search.campaign.plans import (
    PLANNED,
    PlannedExplore,
    PlannedProbe,
    PointCase,
    cases_of,
)
from chaos.search.campaign.points import command_of
from chaos.search.campaign.store import DamagedError, Store
from chaos.search.campaign.trying import ATTEMPTS
from chaos.search.campaign.workflow import TIME_IS_UP
from chaos.search.explore.state import ATTEMPTS as TRIES
from chaos.search.explore.state import PLAN, RESULTS, Attempt, State
from chaos.search.probe.baseline import told
from chaos.search.probe.record import Cell
from chaos.search.probe.record import Probe as Probed
from chaos.search.probe.run import RUNS

MOST_UNPACKED = 50
"""Cases whose evidence is put beside the report, of those that did not pass: each can be had by
itself.
"""


@dataclass(frozen=True)
class PointsReport:
    """What a terminal is shown, and whether the command would be satisfied on one machine."""

    lines: Sequence[str]
    is_fine: bool

    def excuses(self, kept: Kept) -> bool:
        """Whether a campaign that is not passed is satisfying all the same: a probe may leave
        points unknown. It must have ended, with nothing missing in its store.
        """
        is_over = kept.ended is not None and not kept.gaps
        return self.is_fine and is_over and isinstance(kept.campaign.work, Probe)


def write_points(store: Store, kept: Kept, folder: Path) -> PointsReport | None:
    """Write the files; None if the campaign has no points, or no plan that can be read. Raises
    StoreError, OSError.

        points = write_points(store, read_campaign(store), folder)
    """
    work = kept.campaign.work
    try:
        planned = PLANNED.validate_json(store.read(names.THE_PLAN) or b"")
    except (ValidationError, DamagedError):
        return None
    if isinstance(work, Explore) and isinstance(planned, PlannedExplore):
        return _explored(_Found(store, kept, planned, cases_of(work, planned)), planned, folder)
    if isinstance(work, Probe) and isinstance(planned, PlannedProbe):
        return _probed(_Found(store, kept, planned, cases_of(work, planned)), planned, work, folder)
    return None


@dataclass(frozen=True)
class _Found:
    """The cases of a campaign of points, with what was found of each."""

    store: Store
    kept: Kept
    planned: PlannedExplore | PlannedProbe
    cases: Sequence[PointCase]

    @property
    def records(self) -> Iterator[tuple[PointCase, CaseRecord]]:
        """In the order in which they were begun."""
        known = {case.ref.name: case for case in self.cases}
        for record in self.kept.in_order:
            if record.case.name in known:
                yield known[record.case.name], record

    def unpack(self, folder: Path) -> frozenset[str]:
        """Put the evidence of what did not pass, and of the undisturbed runs, into a folder; the
        names of these cases. What is damaged is not there: the campaign's report says so.
        """
        folder.mkdir(exist_ok=True)
        with suppress(BundleError, DamagedError):
            unpack_undisturbed(self.store, self.planned, folder)
        bad = [r for _, r in self.records if r.judged.verdict is not Verdict.PASSED]
        unpacked = set()
        for record in bad[:MOST_UNPACKED]:
            try:
                unpack(self.store, record, folder)
            except (BundleError, DamagedError):
                continue
            unpacked.add(record.case.name)
        return frozenset(unpacked)


def _explored(found: _Found, planned: PlannedExplore, folder: Path) -> PointsReport:
    """As a finished exploration, or one that was interrupted."""
    attempts = [each for case, record in found.records for each in _attempts(case, record)]
    found.unpack(folder / TRIES)
    write_file(folder / PLAN, planned.plan.model_dump_json(indent=1))
    write_file(folder / RESULTS, "".join(f"{each.model_dump_json()}\n" for each in attempts))
    with closing(State.open(folder)) as state:
        report = write_explored(state)
        lines = problem_lines(state)
    if report is None:
        raise RuntimeError("an exploration without a plan has no report.")
    passed = {r.case.name for _, r in found.records if r.judged.verdict is Verdict.PASSED}
    is_fine = report.summary.passed == report.summary.stops == len(planned.plan.hits)
    return PointsReport(
        lines=[*lines, *total_lines(report.summary), f"the table is in {folder / 'explore.md'}"],
        is_fine=is_fine and passed.issuperset(case.ref.name for case in found.cases),
    )


def _attempts(case: PointCase, record: CaseRecord) -> Sequence[Attempt]:
    """Those of its own point; none where the record has something else."""
    try:
        attempts = ATTEMPTS.validate_json(record.found)
    except ValidationError:
        return ()
    return [each for each in attempts if each.crash_point == case.disturbance.name]


def _probed(found: _Found, planned: PlannedProbe, work: Probe, folder: Path) -> PointsReport:
    """As a probe's own record, in which only cells whose evidence is here have a folder."""
    kept, measured = found.kept, planned.plan
    unpacked = found.unpack(folder / RUNS)
    cells = dict(_cells(found, unpacked))
    missing = len(found.cases) - len(cells)
    why = kept.ended.why if kept.ended else "it has not ended yet"
    begin, end = _times(kept)
    probe = Probed(
        workflow=work.spec,
        command=command_of(kept.campaign, work),
        began_at=begin,
        seconds=(end - begin).total_seconds(),
        found=measured.found,
        chosen=len(measured.chosen),
        undisturbed=measured.undisturbed,
        masked=tuple(sorted(map(told, measured.baseline.masks))),
        ended=f"{why}." if missing else "",
        cells=tuple(cells.values()),
    )
    page = write_probed(folder, probe)
    return PointsReport(
        lines=[*terminal_lines(probe), f"Report: {page}"],
        is_fine=probe.is_fine and (not missing or why == TIME_IS_UP),
    )


def _cells(found: _Found, unpacked: frozenset[str]) -> Iterator[tuple[str, Cell]]:
    for case, record in found.records:
        try:
            cell = Cell.model_validate_json(record.found)
        except ValidationError:
            continue
        if cell.boundary == case.disturbance.point.boundary and cell.findings:
            files = record.files if case.ref.name in unpacked else ()
            is_here = any(name.startswith(f"{cell.folder}/") for name in files)
            yield case.ref.name, cell if is_here else cell.model_copy(update={"folder": ""})


def _times(kept: Kept) -> tuple[datetime, datetime]:
    """When it began, and when it ended or something was last judged."""
    if kept.ended:
        return kept.ended.began_at, kept.ended.ended_at
    records: Mapping[str, CaseRecord] = kept.records
    now = datetime.now(UTC)
    begin = min((each.began_at for each in records.values()), default=now)
    return begin, max((each.ended_at for each in records.values()), default=now)

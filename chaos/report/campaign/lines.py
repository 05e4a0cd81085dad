"""The report of a campaign for a terminal, and as Markdown: `campaign.md`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from chaos.evidence.text import plain
from chaos.invariants.verdict import Verdict
from chaos.report import github
from chaos.report.campaign.composing import differing
from chaos.report.campaign.coverage import matrices
from chaos.report.campaign.record import Broken, CampaignReport, Since
from chaos.report.markdown import bullets, code, escaped, paragraph, table
from chaos.report.table import aligned

_HEAD = ("Since the last", "Cases", "What broke")
_MOST_SHOWN = 12
"""Failures on a terminal; the page has all."""
_MOST_LISTED = 200
"""Lines of one list; `campaign.json` has all."""


def terminal_lines(report: CampaignReport, folder: Path) -> list[str]:
    """What broke, the totals, where the report is, and the verdict at the end."""
    rows = [
        (str(each.since), str(len(each.cases)), each.broke) for each in report.broken[:_MOST_SHOWN]
    ]
    more = len(report.broken) - len(rows)
    return [
        *(aligned([_HEAD, *rows]) if rows else []),
        *([f"and {more} more, on the page"] if more > 0 else []),
        *(f"New: {plain(each.broke)}: {plain(each.command)}" for each in _first(report)),
        *map(plain, total_lines(report)),
        *(f"Not as it must be: {plain(each)}" for each in problems(report)[:_MOST_SHOWN]),
        f"Report: {folder / 'campaign.html'}",
        verdict_line(report),
    ]


def _first(report: CampaignReport) -> Sequence[Broken]:
    return [*report.new][:_MOST_SHOWN]


def verdict_line(report: CampaignReport) -> str:
    """The last line, and the headline."""
    return f"{report.campaign.campaign_id}: {report.verdict.upper()}, {plain(report.why)}"


def total_lines(report: CampaignReport) -> Sequence[str]:
    """The figures of the whole."""
    mixed = [
        f"Mixed versions of {name}: {', '.join(values)}. A verdict is of one of them."
        for name, values in differing(report.ran).items()
    ]
    return [*_totals(report), *mixed]


def figure_lines(report: CampaignReport) -> Sequence[str]:
    """The same for the page, which says the rest in its own way."""
    return [*_totals(report)][1:]


def _totals(report: CampaignReport) -> Iterator[str]:
    totals = report.totals
    counts = {
        "never judged": len(report.owed),
        "not begun when it ended": totals.never - len(report.owed),
        "still open": totals.open,
    }
    rest = [f"{number} {what}" for what, number in counts.items() if number]
    judged = f"{totals.passed} passed, {totals.failed} failed, {totals.unknown} unknown"
    yield f"{totals.judged} of {_cases(totals.chosen)} judged: {', '.join([judged, *rest])}."
    if totals.planned is not None and totals.planned > totals.chosen:
        yield f"{totals.planned} were planned, so {totals.planned - totals.chosen} were not tried."
    machines = sum(each.judged > 0 for each in report.machines)
    yield (
        f"{totals.cases_a_minute:.1f} cases a minute over {totals.seconds:.0f} s on "
        f"{machines} machine{'' if machines == 1 else 's'}; {totals.cpu_seconds_a_case:.1f} CPU "
        "seconds a case."
    )
    if totals.ran_again:
        yield f"Ran again, because a machine was lost: {_cases(totals.ran_again)}."
    if totals.second_verdicts:
        yield (
            f"{totals.second_verdicts} attempts have left evidence, and were not the first to "
            "write a verdict: they do not count."
        )
    yield (
        f"Evidence of {_cases(totals.evidence_kept)}, {totals.store_bytes / 1e6:.1f} MB in all: "
        f"{report.evidence}{'; each file is as it was judged' if _is_whole(report) else ''}."
    )
    if report.since:
        yield f"Since {report.since}: {', '.join(_since(report))}."
    elif report.broken:
        yield "No campaign of this kind came before it here: everything that broke is new."


def _is_whole(report: CampaignReport) -> bool:
    return report.verified and not report.gaps


def _since(report: CampaignReport) -> Iterator[str]:
    known = [each.since for each in report.broken] + [each.since for each in report.earlier]
    for since in (Since.NEW, Since.STILL, Since.GONE, Since.NOT_SEEN):
        yield f"{known.count(since)} {since}"


def _cases(number: int) -> str:
    return "1 case" if number == 1 else f"{number} cases"


def problems(report: CampaignReport) -> Sequence[str]:
    """All that keeps the campaign from being certain, but for what failed."""
    return [
        *(f"{each.case or 'the store'}: {each.problem}" for each in report.gaps),
        *(f"{each.name}: never judged: {each.reason}" for each in report.owed),
        *(f"{each.name}: unknown: {each.reason}" for each in report.unknown),
    ]


def annotation_lines(report: CampaignReport, environment: Mapping[str, str]) -> Iterator[str]:
    """For GitHub Actions, and nowhere else: each failure that is new, and what is not certain."""
    if not github.is_read(environment):
        return
    name = report.campaign.campaign_id
    for each in report.new:
        text = f"{each.broke} ({_cases(len(each.cases))}). Run it again: {each.command}"
        yield github.annotation(Verdict.FAILED, f"{name}: new", text)
    if report.verdict is Verdict.UNKNOWN:
        yield github.annotation(Verdict.UNKNOWN, f"{name}: unknown", report.why)


def markdown(report: CampaignReport) -> str:
    """All of the report, but for the cases that passed."""
    return "\n\n".join(_markdown(report)) + "\n"


def _markdown(report: CampaignReport) -> Iterator[str]:
    yield f"# {escaped(verdict_line(report))}"
    yield "\n".join(map(paragraph, total_lines(report)))
    if report.broken:
        yield "## What broke"
        rows = [
            (str(each.since), str(len(each.cases)), escaped(each.broke), code(each.cases[0]))
            for each in report.broken
        ]
        yield _table((*_HEAD, "First case"), rows)
        yield bullets([f"{escaped(each.broke)}: {code(each.command)}" for each in report.broken])
    if report.earlier:
        yield f"## What broke in {escaped(report.since)}, and not now"
        yield _table(
            ("Now", "What broke"),
            [(str(each.since), escaped(each.broke)) for each in report.earlier],
        )
    if found := problems(report):
        yield "## What is not certain"
        yield bullets(_cut([escaped(each) for each in found]))
    yield "## Machines"
    yield _table(("Machine", "Cases:", "Attempts lost with it:", "CPU seconds:"), _machines(report))
    if report.again:
        yield "## Ran again"
        yield bullets(_cut([escaped(each) for each in again_lines(report)]))
    for matrix in matrices(report.coverage):
        yield paragraph(matrix.sentence)
        cells = [
            ["; ".join(escaped(_counted(*each)) for each in cell) or "-" for cell in row.cells]
            for row in matrix.rows
        ]
        yield table(
            ("Fault", *map(escaped, matrix.columns)),
            [
                (escaped(f"{row.fault} at {row.at}"), *shown)
                for row, shown in zip(matrix.rows, cells, strict=True)
            ],
        )


def _machines(report: CampaignReport) -> Sequence[tuple[str, ...]]:
    return [
        (escaped(each.name), str(each.judged), str(each.lost), f"{each.cpu_seconds:.1f}")
        for each in report.machines
    ]


def again_lines(report: CampaignReport) -> Sequence[str]:
    """Which cases ran again, and why."""
    return [
        f"{each.case}: "
        + "; ".join(
            f"{one.machine} was lost while {one.stage} (attempt {one.attempt})" for one in each.lost
        )
        + f"; {each.judged_by} judged it (attempt {each.attempt})"
        for each in report.again
    ]


def _counted(what: str, times: int) -> str:
    return f"{what}, {times} times" if times > 1 else what


def _table(head: Sequence[str], rows: Sequence[tuple[str, ...]]) -> str:
    return table(head, _cut_rows(rows))


def _cut_rows(rows: Sequence[tuple[str, ...]]) -> Sequence[tuple[str, ...]]:
    more = len(rows) - _MOST_LISTED
    if more <= 0:
        return rows
    width = len(rows[0])
    return [*rows[:_MOST_LISTED], (f"and {more} more", *[""] * (width - 1))]


def _cut(lines: Sequence[str]) -> Sequence[str]:
    more = len(lines) - _MOST_LISTED
    rest = [f"and {more} more, in campaign.json"] if more > 0 else []
    return [*lines[:_MOST_LISTED], *rest]

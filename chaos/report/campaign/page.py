"""The page of a campaign: what broke, what is not certain, who ran it, and what it covered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chaos.invariants.verdict import Verdict
from chaos.report.again import Command
from chaos.report.campaign.composing import differing
from chaos.report.campaign.coverage import matrices
from chaos.report.campaign.lines import again_lines, figure_lines, problems, verdict_line
from chaos.report.campaign.record import Broken, CampaignReport, CaseLine, Since
from chaos.report.coverage import Matrix
from chaos.report.html.page import document, render

MOST_SHOWN = 300
"""Of one list; the files beside the page have all."""


@dataclass(frozen=True)
class FailureView:
    """A failure: its cases, and the command that brings it back."""

    anchor: str
    broken: Broken
    is_new: bool
    command: Command


@dataclass(frozen=True)
class CampaignView:
    """The whole page."""

    report: CampaignReport
    headline: str
    lines: Sequence[str]
    failures: Sequence[FailureView]
    problems: Sequence[str]
    mixed: Sequence[tuple[str, Sequence[str]]]
    again: Sequence[str]
    matrices: Sequence[Matrix]
    slowest: Sequence[CaseLine]
    most: int = MOST_SHOWN


def page(report: CampaignReport, cases: Sequence[CaseLine]) -> str:
    """One page that needs no network."""
    view = campaign_view(report, cases)
    title = f"{view.headline}: {report.campaign.campaign_id}"
    return document(title, render("campaign.html", view=view))


def campaign_view(report: CampaignReport, cases: Sequence[CaseLine]) -> CampaignView:
    """All that the page shows."""
    return CampaignView(
        report=report,
        headline=_headline(report),
        lines=figure_lines(report),
        failures=[_failure(number, each) for number, each in enumerate(report.broken, start=1)],
        problems=problems(report),
        mixed=[*differing(report.ran).items()],
        again=again_lines(report),
        matrices=[*matrices(report.coverage)],
        slowest=sorted(cases, key=lambda each: -each.seconds)[:10],
    )


def _headline(report: CampaignReport) -> str:
    new = len([*report.new])
    if report.verdict is Verdict.FAILED:
        kinds = "kind" if len(report.broken) == 1 else "kinds"
        return f"{len(report.broken)} {kinds} of failure, {new} new"
    text = verdict_line(report).partition(", ")[2]
    return text[:1].upper() + text[1:]


def _failure(number: int, broken: Broken) -> FailureView:
    purpose = "runs the schedule that shows it" if broken.file else "brings its first case back"
    return FailureView(
        anchor=f"failure-{number}",
        broken=broken,
        is_new=broken.since in {Since.NEW, Since.FIRST},
        command=Command(broken.command, purpose),
    )

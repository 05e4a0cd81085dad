"""A campaign as JUnit: a test case for each case that was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from chaos.evidence.text import plain
from chaos.report.campaign.record import CampaignReport, CaseLine
from chaos.report.junit import TAGS, add_case, add_properties, written


def junit(report: CampaignReport, cases: Sequence[CaseLine]) -> str:
    """A failed case is a failure, an unknown one an error; one that was never judged is skipped.
    What is missing in the store is an error of its own.
    """
    totals = report.totals
    suite = ET.Element(
        "testsuite",
        name="campaign",
        tests=str(totals.judged + len(report.never) + bool(report.gaps)),
        failures=str(totals.failed),
        errors=str(totals.unknown + bool(report.gaps)),
        skipped=str(len(report.never)),
        time=f"{totals.seconds:.3f}",
        timestamp=report.began_at.isoformat() if report.began_at else "",
    )
    of_all = {"campaign": report.campaign.campaign_id, "verdict": report.verdict}
    add_properties(suite, {**of_all, "evidence": report.evidence, "code": report.campaign.code})
    for each in cases:
        case = add_case(suite, each.name, f"{each.seconds:.3f}")
        if tag := TAGS.get(each.verdict):
            problem = ET.SubElement(case, tag, message=plain(each.reason), type=each.verdict)
            problem.text = plain(each.broke)
        for lost in each.lost:
            message = plain(f"attempt {lost.attempt}: {lost.machine} was lost while {lost.stage}")
            ET.SubElement(case, "system-out").text = message
    for never in report.never:
        case = add_case(suite, never.name, "0")
        ET.SubElement(case, "skipped", message=plain(never.reason))
    if report.gaps:
        text = [plain(f"{gap.case or 'the store'}: {gap.problem}") for gap in report.gaps]
        error = ET.SubElement(add_case(suite, "store", "0"), "error", message=text[0])
        error.text = "\n".join(text)
    return written(suite)

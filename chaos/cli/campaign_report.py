"""`campaign report`: what a campaign has found, from its store alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.cli import NEGATIVE, Commands, UnusableError, add_parser
from chaos.cli.terminal import say, say_all

if TYPE_CHECKING:
    import argparse

    from chaos.search.campaign.store import Store

REPORTS = Path("reports")

_DESCRIPTION = """\
Reads all verdicts of a campaign from where its evidence is, and writes the report: campaign.html,
campaign.md, and for tools campaign.json, cases.jsonl, new.jsonl and junit.xml. What is missing
there is named. It needs neither the control cluster nor a machine, also while the campaign runs."""
_MORE = """\
examples:
  %(prog)s --verify \\
    s3://BUCKET/FOLDER/campaign-2026-01-01T00-00-00Z
  %(prog)s --case order-kill-7 \\
    FOLDER/campaign-2026-01-01T00-00-00Z

exit code:
  0  the campaign has ended, all of its cases passed, and nothing is missing
     (with --case: the evidence was fetched)
  1  something failed, is unknown, or is missing
  2  there is no such campaign, its place cannot be read, or the report cannot
     be written"""


def add(actions: Commands) -> None:
    """Register it below `campaign`."""
    parser = add_parser(
        actions,
        "report",
        summary="write what it has found, from where its evidence is",
        description=_DESCRIPTION,
        more=_MORE,
    )
    parser.add_argument("place", metavar="URL/ID", help="where its evidence is, and its id")
    parser.add_argument(
        "--reports",
        type=Path,
        default=REPORTS,
        metavar="FOLDER",
        help="where the report goes, into a folder of the campaign's id (default: reports)",
    )
    parser.add_argument(
        "--verify", action="store_true", help="compare each file of evidence with its hash"
    )
    parser.add_argument(
        "--case", metavar="NAME", help="write no report, but fetch the evidence of this case"
    )
    parser.set_defaults(command=_report)


def _report(given: argparse.Namespace) -> int:
    from chaos.report.campaign.reading import CampaignError
    from chaos.search.campaign.bundles import BundleError
    from chaos.search.campaign.store import Store, StoreError, address_of

    try:
        place, _, campaign_id = address_of(given.place).rpartition("/")
        store = Store.open(place, campaign_id)
        if given.case:
            return _fetch(store, given)
        return write(store, given.reports, verify=given.verify)
    except (CampaignError, StoreError, BundleError) as error:
        raise UnusableError(str(error)) from None


def write(store: Store, reports: Path, *, verify: bool = False) -> int:
    """Write the report of a campaign, and beside it that of `explore` or `probe` if it has tried
    their points; say what is in it; the exit code. Raises CampaignError, StoreError, UnusableError.
    """
    from chaos.invariants.verdict import Verdict
    from chaos.report.campaign.files import write_reports
    from chaos.report.campaign.lines import annotation_lines, terminal_lines
    from chaos.report.campaign.points import write_points
    from chaos.report.campaign.reading import read_campaign

    folder = reports / _id_of(store)
    kept = read_campaign(store, verify=verify)
    try:
        report = write_reports(store, folder, verify=verify, kept=kept)
        points = write_points(store, kept, folder)
    except OSError as error:
        raise _unwritable(folder, error) from None
    say_all((*(points.lines if points else ()), *terminal_lines(report, folder)))
    for line in annotation_lines(report, os.environ):
        say(line)
    if report.verdict is Verdict.PASSED:
        return 0
    if points and points.excuses(kept):
        say("What was not provably hit is no finding of a probe: exit code 0.")
        return 0
    return NEGATIVE


def _fetch(store: Store, given: argparse.Namespace) -> int:
    """The evidence of a case, each file compared with its hash."""
    from chaos.report.campaign.reading import record_of
    from chaos.search.campaign.bundles import unpack

    record = record_of(store, given.case)
    folder = given.reports / _id_of(store) / "cases" / given.case
    try:
        unpack(store, record, folder)
    except OSError as error:
        raise _unwritable(folder, error) from None
    judged = record.judged
    say(f"{judged.name}: {judged.verdict}{f', {judged.reason}' if judged.reason else ''}")
    say(f"Evidence: {folder}")
    return 0


def _id_of(store: Store) -> str:
    return store.address.rpartition("/")[2]


def _unwritable(folder: Path, error: OSError) -> UnusableError:
    return UnusableError(
        f"{folder} cannot be written to ({error.strerror}); choose another folder with --reports."
    )

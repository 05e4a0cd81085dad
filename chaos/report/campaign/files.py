"""Writes the report of a campaign: for people, for tools, and what is to be replayed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel

from chaos.evidence.files import write_file
from chaos.report.campaign.composing import compose
from chaos.report.campaign.junit import junit
from chaos.report.campaign.lines import markdown
from chaos.report.campaign.news import last_before
from chaos.report.campaign.page import page
from chaos.report.campaign.reading import Kept, read_campaign
from chaos.report.campaign.record import CampaignReport, CaseLine
from chaos.report.campaign.replays import Replays
from chaos.search.campaign.store import Store


def write_reports(
    store: Store, folder: Path, *, verify: bool = False, kept: Kept | None = None
) -> CampaignReport:
    """Read a campaign from its store, unless it was read already (`kept`), and write its report
    into a folder, each file whole or not at all: `campaign.html` and `campaign.md` for people,
    `campaign.json`, `cases.jsonl`, `new.jsonl` and `junit.xml` for tools, `failures/` for
    `run --replay`. With `verify` each file of evidence is compared with its hash.

    Raises CampaignError where there is no such campaign, StoreError where its place cannot be
    read, OSError where the folder cannot be written.
    """
    kept = kept or read_campaign(store, verify=verify)
    folder.mkdir(parents=True, exist_ok=True)
    replays = Replays(store, kept, folder)
    report = compose(kept, last_before(store, kept), replays, verified=verify)
    lines = [CaseLine.of(record) for record in kept.in_order]
    texts = {
        "campaign.json": report.model_dump_json(indent=1) + "\n",
        "cases.jsonl": _jsonl(lines),
        "new.jsonl": _jsonl(report.new),
        "campaign.md": markdown(report),
        "junit.xml": junit(report, lines),
        "campaign.html": page(report, lines),
    }
    for name, text in texts.items():
        write_file(folder / name, text)
    return report


def _jsonl(parts: Iterable[BaseModel]) -> str:
    return "".join(f"{each.model_dump_json()}\n" for each in parts)

"""Campaigns in a folder, as workflow and machines would have left them; each can be broken."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from chaos.invariants.verdict import Verdict
from chaos.search.campaign import names
from chaos.search.campaign.bundles import keep
from chaos.search.campaign.model import (
    Batch,
    Campaign,
    CaseKind,
    CaseRecord,
    CaseRef,
    Ended,
    Explore,
    Judged,
    Keep,
    Lost,
    Stage,
    Versions,
    Work,
)
from chaos.search.campaign.store import Store
from chaos.search.campaign.summary import finish

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
VERSIONS = Versions(suite="0.2", sdk="1.20", server="1.29", python="3.11.7", target="c0ffee")
EXPLORE = Explore(specs=("order",))
LOST = Lost(machine="shop-3", attempt=1, stage=Stage.RUNNING)


def passed(number: int, **more: object) -> CaseRecord:
    """A case that began a number of seconds after the campaign."""
    return _record(Judged(name=f"order-charge-{number}", verdict=Verdict.PASSED), number, **more)


def failed(
    number: int, broke: str = "paid_once: it was charged twice", **more: object
) -> CaseRecord:
    judged = Judged(
        name=f"order-charge-{number}", verdict=Verdict.FAILED, broke=broke, reason=f"{broke} (7)"
    )
    return _record(judged, number, **more)


def unknown(number: int) -> CaseRecord:
    judged = Judged(
        name=f"order-charge-{number}", verdict=Verdict.UNKNOWN, reason="the point was not hit"
    )
    return _record(judged, number)


def _record(judged: Judged, number: int, **more: object) -> CaseRecord:
    cells = (f"kill at activity charge completing {number}", "kill|worker|charge|running")
    fields = {name: more.pop(name) for name in [*more] if name in Judged.model_fields}
    details = {"machine": "shop-1", "slots": 4, "seconds": 10.0, "cells": cells, "shapes": ("a",)}
    began_at = NOW + timedelta(seconds=number)
    case = {
        "case": CaseRef(name=judged.name, kind=CaseKind.POINT),
        "versions": VERSIONS,
        "began_at": began_at,
        "ended_at": began_at + timedelta(seconds=10),
        "cpu_seconds": 2.5,
    }
    return CaseRecord(judged=judged.model_copy(update=details | fields), **(case | more))


class Made:
    """A campaign in the making. Nothing that it has written is ever written again."""

    def __init__(
        self,
        place: Path | str,
        campaign_id: str = "campaign-1",
        *,
        work: Work = EXPLORE,
        kept: Keep = Keep.ALL,
        began_at: datetime = NOW,
    ) -> None:
        self.store = Store.open(str(place), campaign_id)
        self.began_at = began_at
        self.campaign = Campaign(
            campaign_id=campaign_id,
            target="shop:SHOP",
            code="c0ffee",
            evidence=str(place),
            work=work,
            keep=kept,
        )
        self.store.create(names.CAMPAIGN, self.campaign.model_dump_json().encode())
        self._turns = 0

    def plan(self, scratch: Path) -> None:
        """As machines write it, with more in it than the report needs."""
        (scratch / "undisturbed").mkdir(parents=True, exist_ok=True)
        (scratch / "undisturbed" / "journal.jsonl").write_text("{}\n")
        bundle, files = keep(self.store, "", scratch / "undisturbed")
        plan = {"kind": "explore", "bundle": bundle, "files": files}
        self.store.create(names.THE_PLAN, json.dumps(plan).encode())

    def turn(self, *cases: CaseRef, total: int | None = None) -> None:
        """As the search writes it, with more in it than the report needs."""
        self._turns += 1
        batch = Batch(cases=cases, is_last=True, total=total)
        turn = {"number": self._turns, "given": "3", "batch": batch.model_dump(mode="json")}
        self.store.create(names.turn(self._turns), json.dumps(turn).encode())

    def judge(self, record: CaseRecord, scratch: Path) -> CaseRecord:
        """Keep a case's evidence, and its verdict."""
        if self.campaign.keep is Keep.ALL or record.judged.verdict is not Verdict.PASSED:
            evidence = scratch / record.case.name
            evidence.mkdir(parents=True, exist_ok=True)
            (evidence / "journal.jsonl").write_text(f"{record.case.name}\n")
            bundle, files = keep(self.store, record.case.name, evidence)
            record = record.model_copy(update={"bundle": bundle, "files": files})
        self.store.create(names.verdict(record.case.name), record.model_dump_json().encode())
        return record

    def end(self, records: Iterable[CaseRecord], **more: object) -> Ended:
        """As the workflow counts."""
        verdicts = [each.judged.verdict for each in records]
        counts = {str(verdict): verdicts.count(verdict) for verdict in Verdict}
        fields = {
            "campaign_id": self.campaign.campaign_id,
            "began_at": self.began_at,
            "ended_at": self.began_at + timedelta(minutes=5),
            "judged": len(verdicts),
            **counts,
        }
        ended = Ended.model_validate(fields | more)
        finish(self.campaign, ended, self.store)
        return ended


def whole(  # noqa: PLR0913 - a campaign has all of these
    place: Path | str,
    scratch: Path,
    records: Iterable[CaseRecord],
    campaign_id: str = "campaign-1",
    *,
    before_end: Callable[[Made], None] = lambda _: None,
    work: Work = EXPLORE,
    kept: Keep = Keep.ALL,
    began_at: datetime = NOW,
) -> Made:
    """A campaign that has run to its end."""
    made = Made(place, campaign_id, work=work, kept=kept, began_at=began_at)
    records = list(records)
    if isinstance(work, Explore):
        made.plan(scratch / campaign_id)
    made.turn(*(each.case for each in records), total=len(records))
    for each in records:
        made.judge(each, scratch / campaign_id)
    before_end(made)
    made.end(records)
    return made

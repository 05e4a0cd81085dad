"""What a campaign has shown that the last one had not: of the same target and the same kind of
work, at the same place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from chaos.invariants.verdict import Verdict
from chaos.report.campaign.reading import Kept, read_campaign
from chaos.report.campaign.record import Earlier, Since
from chaos.search.campaign import names
from chaos.search.campaign.broke import parts_of
from chaos.search.campaign.keep import MOST_BYTES
from chaos.search.campaign.model import Campaign, CaseRecord, Ended, Seeds
from chaos.search.campaign.store import Store


@dataclass(frozen=True)
class Last:
    """The campaign before, if there was one, and its failures by what broke."""

    kept: Kept | None
    failures: Mapping[str, Sequence[CaseRecord]]

    @property
    def campaign_id(self) -> str:
        """Empty where there was none."""
        return self.kept.campaign.campaign_id if self.kept else ""

    def since(self, broke: str) -> Since:
        """Whether it is known: all of its parts broke then as well."""
        if self.kept is None:
            return Since.FIRST
        known = {part for each in self.failures for part in _parts(each)}
        return Since.STILL if _parts(broke) <= known else Since.NEW

    def earlier(self, now: Kept) -> Iterator[Earlier]:
        """What broke then, and has not in this one."""
        seen = {part for each in failures(now) for part in _parts(each)}
        for broke, records in self.failures.items():
            if not _parts(broke) <= seen:
                cases = tuple(record.case.name for record in records)
                yield Earlier(broke=broke, since=self._became(cases, now), cases=cases)

    def _became(self, cases: Sequence[str], now: Kept) -> Since:
        """Cases of a name are the same ones only if the work is the same, and not learnt."""
        work = now.campaign.work
        is_same = self.kept is not None and self.kept.campaign.work == work
        if not is_same or (isinstance(work, Seeds) and work.is_endless):
            return Since.NOT_SEEN
        again = [now.records[case].judged.verdict for case in cases if case in now.records]
        are_passed = len(again) == len(cases) and {*again} == {Verdict.PASSED}
        return Since.GONE if are_passed else Since.NOT_SEEN


def failures(kept: Kept) -> dict[str, list[CaseRecord]]:
    """The cases that failed, by what broke; what broke most often is the first."""
    found: dict[str, list[CaseRecord]] = {}
    for record in kept.in_order:
        if record.judged.verdict is Verdict.FAILED:
            found.setdefault(broke_in(record), []).append(record)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def broke_in(record: CaseRecord) -> str:
    """What broke in a case that failed."""
    return record.judged.broke or record.judged.reason or "it failed, and nothing says why"


def last_before(store: Store, now: Kept) -> Last:
    """The newest campaign that had ended when this one began. What of others cannot be read is
    passed over. Raises StoreError.
    """
    found = [
        (ended.began_at, campaign.campaign_id)
        for campaign, ended in _others(store.others(), now)
        if ended.ended_at <= _begin(now, ended.ended_at)
    ]
    if not found:
        return Last(None, {})
    kept = read_campaign(store.others().of(max(found)[1]))
    return Last(kept, failures(kept))


def _begin(kept: Kept, otherwise: datetime) -> datetime:
    if kept.ended:
        return kept.ended.began_at
    return kept.in_order[0].began_at if kept.records else otherwise


def _others(everything: Store, now: Kept) -> Iterator[tuple[Campaign, Ended]]:
    """Those that have ended, of the same target and the same kind of work."""
    own = now.campaign
    ids = [each for each in everything.campaigns() if each != own.campaign_id]
    wanted = [f"{each}/{name}" for each in ids for name in (names.CAMPAIGN, names.SUMMARY)]
    there = everything.read_all(wanted, MOST_BYTES, damaged=lambda _: None)
    for each in ids:
        with suppress(KeyError, ValidationError):
            campaign = Campaign.model_validate_json(there[f"{each}/{names.CAMPAIGN}"])
            ended = Ended.model_validate_json(there[f"{each}/{names.SUMMARY}"])
            is_alike = (campaign.target, campaign.work.kind) == (own.target, own.work.kind)
            if is_alike and campaign.campaign_id == each:
                yield campaign, ended


def _parts(broke: str) -> frozenset[str]:
    return parts_of(broke) or frozenset({broke})

"""Reads all that a campaign has left in its store, and what is missing there or contradicts itself.

Each case that was chosen must have one verdict, each verdict its evidence. What is not as it must
be is named, and a campaign with such a gap has not passed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from chaos.evidence.text import plain
from chaos.invariants.verdict import Verdict
from chaos.search.campaign import names
from chaos.search.campaign.bundles import BundleError, verified, verified_undisturbed
from chaos.search.campaign.keep import MOST_BYTES
from chaos.search.campaign.model import (
    Batch,
    Campaign,
    CaseRecord,
    CaseRef,
    Ended,
    Explore,
    Keep,
    Probe,
)
from chaos.search.campaign.store import DamagedError, Store

_OF_A_CASE = re.compile(r"cases/([^/]+)/")
_VERDICT = re.compile(r"cases/([^/]+)/verdict\.json")
_BUNDLE = re.compile(r"cases/([^/]+)/[0-9a-f]{64}\.tar\.gz")
_TURN = re.compile(r"turns/([0-9]{6,})\.json")

_Model = TypeVar("_Model", bound=BaseModel)


class CampaignError(Exception):
    """There is no campaign to report. One sentence: what is missing, and what to do."""


class _Turn(BaseModel):
    """Of a turn of the search, what the report needs; the rest is the search's own."""

    model_config = ConfigDict(extra="ignore")

    batch: Batch = Batch()


class Undisturbed(BaseModel):
    """Of a plan, the evidence that it was made from."""

    model_config = ConfigDict(extra="ignore")

    bundle: str = ""
    files: dict[str, str] = {}


class Gap(BaseModel):
    """What is missing, damaged, or contradicts something else; `case` is empty where it is about
    the whole.
    """

    model_config = ConfigDict(frozen=True)

    case: str = ""
    problem: str


@dataclass
class Kept:
    """What was read. `unused` are bundles of attempts whose verdict came second and does not count.
    `never` says of each case without a verdict why it has none.
    """

    campaign: Campaign
    ended: Ended | None = None
    undisturbed: Undisturbed | None = None
    chosen: dict[str, CaseRef] = field(default_factory=dict)
    records: dict[str, CaseRecord] = field(default_factory=dict)
    never: dict[str, str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    files: Mapping[str, int] = field(default_factory=dict)
    total: int | None = None
    gaps: list[Gap] = field(default_factory=list)

    @property
    def in_order(self) -> list[CaseRecord]:
        """All verdicts, in the order in which they were begun."""
        return sorted(self.records.values(), key=lambda each: (each.began_at, each.case.name))


def campaign_of(store: Store) -> Campaign:
    """What was asked. Raises CampaignError, StoreError."""
    data = store.read(names.CAMPAIGN, MOST_BYTES)
    if data is None:
        raise CampaignError(
            f"there is no campaign at {store.address}: its {names.CAMPAIGN} is missing; check the "
            "address and the campaign's id."
        )
    try:
        return Campaign.model_validate_json(data)
    except ValidationError:
        raise CampaignError(
            f"{store.address}/{names.CAMPAIGN} is damaged, or of another version of this program."
        ) from None


def record_of(store: Store, case: str) -> CaseRecord:
    """The verdict of one case. Raises CampaignError where there is none, StoreError."""
    campaign = campaign_of(store)
    data = store.read(names.verdict(case), MOST_BYTES)
    if data is None:
        raise CampaignError(
            f"{campaign.campaign_id} has no verdict of a case {plain(case, 100)}; cases.jsonl of "
            "its report names all."
        )
    try:
        record = CaseRecord.model_validate_json(data)
    except ValidationError:
        raise CampaignError(
            f"{names.verdict(case)} is damaged, or of another version of this program."
        ) from None
    if {record.case.name, record.judged.name} != {case}:
        raise CampaignError(f"{names.verdict(case)} is the verdict of another case.")
    return record


def read_campaign(store: Store, *, verify: bool = False) -> Kept:
    """All of it; with `verify` the hash of each file of evidence is computed again. Raises
    CampaignError where there is none, StoreError where the place cannot be read.
    """
    kept = Kept(campaign_of(store), files=store.sizes())
    reading = _Reading(store, kept)
    reading.summary()
    reading.plan()
    reading.turns()
    reading.verdicts()
    kept.gaps += _gaps(kept)
    if verify:
        kept.gaps += _damaged(store, kept)
    return kept


@dataclass
class _Reading:
    store: Store
    kept: Kept

    def summary(self) -> None:
        for data in self._all([names.SUMMARY]).values():
            self.kept.ended = self._parsed(Ended, names.SUMMARY, data)
        if self.kept.ended:
            self.kept.never = {each.name: each.reason for each in self.kept.ended.never}

    def plan(self) -> None:
        for data in self._all([names.THE_PLAN]).values():
            self.kept.undisturbed = self._parsed(Undisturbed, names.THE_PLAN, data)

    def turns(self) -> None:
        numbers = {name: int(m[1]) for name in self.kept.files if (m := _TURN.fullmatch(name))}
        for missing in sorted({*range(1, max(numbers.values(), default=0))} - {*numbers.values()}):
            self._gap(f"{names.turn(missing)} is missing, so nobody knows which cases it chose")
        times: Counter[str] = Counter()
        for name, data in sorted(self._all(sorted(numbers)).items()):
            if (turn := self._parsed(_Turn, name, data)) is None:
                continue
            self.kept.total = turn.batch.total if turn.batch.total is not None else self.kept.total
            times.update(case.name for case in turn.batch.cases)
            self.kept.chosen |= {case.name: case for case in turn.batch.cases}
        for case, number in times.items():
            if number > 1:
                self._gap(f"it was chosen {number} times", case)

    def verdicts(self) -> None:
        found = {name: m[1] for name in self.kept.files if (m := _VERDICT.fullmatch(name))}
        for name, data in self._all(sorted(found)).items():
            case = found[name]
            record = self._parsed(CaseRecord, name, data, case)
            if record is None:
                continue
            if {record.case.name, record.judged.name} != {case}:
                self._gap(f"its verdict is that of another case, {record.judged.name}", case)
            else:
                self.kept.records[case] = record

    def _all(self, wanted: Sequence[str]) -> Mapping[str, bytes]:
        return self.store.read_all(wanted, MOST_BYTES, self._gap)

    def _parsed(self, kind: type[_Model], name: str, data: bytes, case: str = "") -> _Model | None:
        try:
            return kind.model_validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            self._gap(f"{name} is damaged, or of another version ({where}: {first['msg']})", case)
            return None

    def _gap(self, problem: str, case: str = "") -> None:
        self.kept.gaps.append(Gap(case=case, problem=plain(problem.rstrip("."))))


def _gaps(kept: Kept) -> Iterator[Gap]:
    """What is missing, by comparing what was chosen, judged, kept and counted."""
    known = {gap.case for gap in kept.gaps} | {*kept.records} | {*kept.never}
    for case in kept.chosen:
        if kept.ended and case not in known:
            yield Gap(case=case, problem="it was chosen, and has no verdict")
    for case in (*kept.records, *(each for each in kept.never if each not in kept.records)):
        if case not in kept.chosen:
            yield Gap(case=case, problem="no turn has chosen it")
    yield from _of_evidence(kept)
    if kept.ended:
        yield from _miscounted(kept, kept.ended)


def _of_evidence(kept: Kept) -> Iterator[Gap]:
    """Each verdict has what it rests on, unless it passed and that was not to be kept."""
    for case, record in kept.records.items():
        is_wanted = kept.campaign.keep is Keep.ALL or record.judged.verdict is not Verdict.PASSED
        if record.bundle and record.bundle not in kept.files:
            yield Gap(case=case, problem=f"its evidence is missing: {record.bundle}")
        elif is_wanted and not record.bundle:
            yield Gap(case=case, problem="its evidence was not kept")
    if isinstance(kept.campaign.work, Explore | Probe) and kept.chosen:
        plan = kept.undisturbed
        if plan is None or plan.bundle not in kept.files:
            yield Gap(problem="the plan, or the evidence that it was made from, is missing")
    used = {record.bundle for record in kept.records.values()}
    for name in kept.files:
        part = _OF_A_CASE.match(name)
        if _BUNDLE.fullmatch(name):
            kept.unused += [name] if name not in used else []
        elif part and not _VERDICT.fullmatch(name):
            yield Gap(case=part[1], problem=f"{plain(name)} is nothing that a campaign writes")


def _miscounted(kept: Kept, ended: Ended) -> Iterator[Gap]:
    """The workflow counted what it was told. A verdict of a case that it calls never judged was
    written by a machine that it had ceased to hear.
    """
    heard = [r.judged.verdict for case, r in kept.records.items() if case not in kept.never]
    counted = Counter(heard)
    for verdict in (Verdict.PASSED, Verdict.FAILED):
        told = ended.passed if verdict is Verdict.PASSED else ended.failed
        if told != counted[verdict]:
            yield Gap(
                problem=f"the campaign has counted {told} as {verdict}, and its store has "
                f"{counted[verdict]}"
            )
    if not counted[Verdict.UNKNOWN] <= ended.unknown <= counted[Verdict.UNKNOWN] + len(kept.never):
        yield Gap(
            problem=f"the campaign has counted {ended.unknown} as unknown, and its store has "
            f"{counted[Verdict.UNKNOWN]}"
        )


def _damaged(store: Store, kept: Kept) -> Iterator[Gap]:
    """Evidence that is not what was judged, byte by byte."""
    bundles = {
        case: verified(store, each)
        for case, each in kept.records.items()
        if each.bundle in kept.files
    }
    if kept.undisturbed and kept.undisturbed.bundle in kept.files:
        bundles[""] = verified_undisturbed(store, kept.undisturbed)
    for case, files in bundles.items():
        try:
            for _ in files:
                pass
        except (BundleError, DamagedError) as error:
            yield Gap(case=case, problem=str(error).rstrip("."))

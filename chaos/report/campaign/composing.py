"""From what a campaign has left to its report: totals, failures, machines, coverage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from chaos.evidence.text import plain
from chaos.invariants.verdict import Verdict
from chaos.report.campaign.news import Last, failures
from chaos.report.campaign.reading import Kept
from chaos.report.campaign.record import (
    Again,
    Broken,
    CampaignReport,
    Covered,
    OfMachine,
    Ran,
    Since,
    Totals,
    owed,
)
from chaos.report.campaign.replays import Replays
from chaos.search.campaign.model import CaseRecord, Never, Versions


def compose(kept: Kept, last: Last, replays: Replays, *, verified: bool = False) -> CampaignReport:
    """The report; the schedules of failures are written on the way. Raises StoreError, OSError."""
    broken = tuple(_broken(kept, last, replays))
    totals, never = _totals(kept), _never(kept)
    verdict, why = _verdict(kept, totals, never)
    ended, records = kept.ended, kept.in_order
    return CampaignReport(
        campaign=kept.campaign,
        evidence=replays.store.address,
        verdict=verdict,
        why=why,
        began_at=ended.began_at if ended else records[0].began_at if records else None,
        ended_at=ended.ended_at if ended else None,
        has_ended=ended is not None,
        end=ended.why if ended else "",
        verified=verified,
        totals=totals,
        broken=broken,
        unknown=tuple(
            Never(name=each.case.name, reason=each.judged.reason)
            for each in records
            if each.judged.verdict is Verdict.UNKNOWN
        ),
        never=never,
        gaps=tuple(kept.gaps),
        since=last.campaign_id,
        earlier=tuple(last.earlier(kept)),
        ran=tuple(_ran(records)),
        machines=tuple(_machines(records)),
        again=tuple(
            Again(
                case=each.case.name,
                judged_by=each.judged.machine,
                attempt=each.judged.attempt,
                lost=each.judged.lost,
            )
            for each in records
            if each.judged.lost
        ),
        coverage=tuple(_coverage(records)),
    )


def _broken(kept: Kept, last: Last, replays: Replays) -> Iterator[Broken]:
    """What is new comes first."""
    found = []
    for broke, records in failures(kept).items():
        file = replays.write(broke, records)
        found.append(
            Broken(
                broke=broke,
                since=last.since(broke),
                cases=tuple(each.case.name for each in records),
                example=records[0].judged.reason,
                machines=tuple(sorted({each.judged.machine for each in records})),
                file=file,
                command=replays.command(records[0], file),
            )
        )
    return iter(sorted(found, key=lambda each: (each.since is Since.STILL, -len(each.cases))))


def _verdict(kept: Kept, totals: Totals, never: Sequence[Never]) -> tuple[Verdict, str]:
    """Passed only if all that was to be tried was, and all that was tried passed, on evidence that
    is there.
    """
    if totals.failed:
        return Verdict.FAILED, f"{totals.failed} of {totals.judged} cases failed"
    doubt = next(_doubts(kept, totals, never), "")
    if doubt:
        return Verdict.UNKNOWN, doubt
    all_of_them = "its only case" if totals.judged == 1 else f"all {totals.judged} cases"
    return Verdict.PASSED, f"{all_of_them} passed"


def _doubts(kept: Kept, totals: Totals, never: Sequence[Never]) -> Iterator[str]:
    ended = kept.ended
    if ended is None:
        yield "it has not ended"
    if kept.gaps:
        yield f"{kept.gaps[0].case or 'its store'}: {kept.gaps[0].problem}"
    if totals.unknown:
        yield f"{totals.unknown} of {totals.judged} cases are unknown"
    why = ended.why if ended else ""
    if missing := owed(kept.campaign, never, why):
        yield f"{len(missing)} cases were never judged: {missing[0].reason}"
    if totals.planned is not None and totals.chosen < totals.planned:
        yield f"{totals.chosen} of {totals.planned} cases were tried{f': {why}' if why else ''}"
    if not totals.judged:
        yield why or "nothing was tried"


def _totals(kept: Kept) -> Totals:
    records = kept.in_order
    verdicts = Counter(each.judged.verdict for each in records)
    never = len(_never(kept))
    seconds, cpu = busy_seconds(records), sum(each.cpu_seconds for each in records)
    missing = sum(case not in kept.records for case in kept.chosen)
    return Totals(
        chosen=len(kept.chosen),
        judged=len(records),
        passed=verdicts[Verdict.PASSED],
        failed=verdicts[Verdict.FAILED],
        unknown=verdicts[Verdict.UNKNOWN],
        never=never,
        open=0 if kept.ended else missing,
        planned=kept.total,
        ran_again=sum(bool(each.judged.lost) for each in records),
        second_verdicts=len(kept.unused),
        seconds=seconds,
        cases_a_minute=60 * len(records) / seconds if seconds else 0.0,
        case_seconds=sum(each.judged.seconds for each in records),
        cpu_seconds=cpu,
        cpu_seconds_a_case=cpu / len(records) if records else 0.0,
        shapes=len({shape for each in records for shape in each.judged.shapes}),
        store_bytes=sum(kept.files.values()),
        evidence_kept=sum(each.bundle in kept.files for each in records),
    )


def busy_seconds(records: Sequence[CaseRecord]) -> float:
    """How long at least one case was under way."""
    seconds, end = 0.0, datetime.min.replace(tzinfo=UTC)
    for each in sorted(records, key=lambda one: one.began_at):
        seconds += max(0.0, (each.ended_at - max(end, each.began_at)).total_seconds())
        end = max(end, each.ended_at)
    return seconds


def _never(kept: Kept) -> tuple[Never, ...]:
    """Where the store has a verdict after all, that one counts."""
    return tuple(
        Never(name=name, reason=reason)
        for name, reason in kept.never.items()
        if name not in kept.records
    )


def _ran(records: Sequence[CaseRecord]) -> Iterator[Ran]:
    counts = Counter(each.versions for each in records)
    return (Ran(versions=versions, cases=number) for versions, number in counts.most_common())


def differing(ran: Sequence[Ran]) -> Mapping[str, Sequence[str]]:
    """Of versions that are not the same for all cases: which there were."""
    found = {
        name: list(dict.fromkeys(str(getattr(each.versions, name)) for each in ran))
        for name in Versions.model_fields
    }
    return {name: values for name, values in found.items() if len(values) > 1}


def _machines(records: Sequence[CaseRecord]) -> Iterator[OfMachine]:
    by: dict[str, list[CaseRecord]] = {}
    for each in records:
        by.setdefault(each.judged.machine, []).append(each)
    lost = Counter(one.machine for each in records for one in each.judged.lost)
    for name in sorted({*by, *lost}):
        own = by.get(name, [])
        yield OfMachine(
            name=name,
            slots=own[-1].judged.slots if own else 0,
            judged=len(own),
            lost=lost[name],
            cpu_seconds=_sum(own, lambda each: each.cpu_seconds),
            busy_seconds=_sum(own, lambda each: each.judged.seconds),
        )


def _sum(records: Sequence[CaseRecord], value: Callable[[CaseRecord], float]) -> float:
    return sum(map(value, records))


def _coverage(records: Sequence[CaseRecord]) -> Iterator[Covered]:
    counts = Counter(plain(cell) for each in records for cell in {*each.judged.cells})
    return (Covered(cell=cell, cases=number) for cell, number in sorted(counts.items()))

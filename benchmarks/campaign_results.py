"""What a campaign has left: in its store, and in the history of its workflow. The two are
independent, so each shows what the other has lost or counted twice.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from chaos.report.campaign.files import write_reports
from chaos.search.campaign import names
from chaos.search.campaign.model import CaseRecord, Ended
from chaos.search.campaign.store import Store


@dataclass(frozen=True)
class Kept:
    """What is in the store."""

    campaign_id: str
    records: Mapping[str, CaseRecord]
    ended: Ended | None
    files: int
    size_bytes: int

    @property
    def verdicts(self) -> Mapping[str, str]:
        """Of each case by its name."""
        return {name: record.judged.verdict.value for name, record in self.records.items()}

    @property
    def run_again(self) -> Mapping[str, CaseRecord]:
        """The cases of which an attempt was lost with its machine."""
        return {name: record for name, record in self.records.items() if record.judged.lost}


@dataclass(frozen=True)
class Recorded:
    """What is in the histories of the workflow, over all its runs: how often each case was begun
    and judged; `size_bytes` is that of all events.
    """

    events: int
    size_bytes: int
    begun: Counter[str]
    judged: Counter[str]
    runs: int


def campaign_in(url: str) -> str:
    """The id of the only campaign of a place. Raises RuntimeError where there is not one."""
    found = [*Store.open(url).campaigns()]
    if len(found) != 1:
        raise RuntimeError(f"there should be one campaign in {url}, and there are {len(found)}.")
    return found.pop()


def read_kept(url: str, campaign_id: str) -> Kept:
    """Read the store of a campaign, as it is now. Raises StoreError."""
    store = Store.open(url, campaign_id)
    listed = store.sizes()
    verdicts = [each for each in listed if each.endswith("/verdict.json")]
    records = [CaseRecord.model_validate_json(text) for text in store.read_all(verdicts).values()]
    summary = store.read(names.SUMMARY)
    return Kept(
        campaign_id=campaign_id,
        records={record.case.name: record for record in records},
        ended=Ended.model_validate_json(summary) if summary else None,
        files=len(listed),
        size_bytes=sum(listed.values()),
    )


async def read_recorded(client: Client, campaign_id: str) -> Recorded:
    """Read the histories of all runs of a campaign. Raises RPCError."""
    events, size_bytes, runs = 0, 0, 0
    begun: Counter[str] = Counter()
    judged: Counter[str] = Counter()
    described = await client.get_workflow_handle(campaign_id).describe()
    run_id: str | None = described.raw_info.first_run_id or described.run_id
    while run_id:
        runs += 1
        history = await client.get_workflow_handle(campaign_id, run_id=run_id).fetch_history()
        events += len(history.events)
        size_bytes += sum(event.ByteSize() for event in history.events)
        _count(history.events, begun, judged)
        last = history.events[-1].workflow_execution_continued_as_new_event_attributes
        run_id = last.new_execution_run_id or None
    return Recorded(events, size_bytes, begun, judged, runs)


def _count(events: Any, begun: Counter[str], judged: Counter[str]) -> None:
    """A case that a machine hands back unbegun is begun once more, and has no verdict yet."""
    cases: dict[int, str] = {}
    for event in events:
        if event.activity_task_scheduled_event_attributes.activity_type.name == names.CASE:
            cases[event.event_id] = _case_of(event)
            begun[cases[event.event_id]] += 1
        ended = event.activity_task_completed_event_attributes.scheduled_event_id
        if ended in cases:
            judged[cases[ended]] += 1


def _case_of(event: HistoryEvent) -> str:
    """The name in the `CaseRef` among the arguments of an activity."""
    for payload in event.activity_task_scheduled_event_attributes.input.payloads:
        told = json.loads(payload.data)
        if isinstance(told, dict) and {"name", "kind"} <= told.keys():
            return str(told["name"])
    raise RuntimeError(f"event {event.event_id} begins a case without a name.")


def problems(kept: Kept, recorded: Recorded) -> Iterator[str]:
    """What should not be: cases that were lost, begun or judged twice, or counted wrongly."""
    if kept.ended is None:
        yield "the campaign has no summary."
        return
    for name in sorted(recorded.begun.keys() - kept.records.keys()):
        yield f"{name} was begun and has no verdict in the store."
    for name in sorted(kept.records.keys() - recorded.begun.keys()):
        yield f"{name} has a verdict in the store, and the workflow never began it."
    for name in sorted(recorded.begun):
        if recorded.judged[name] != 1:
            yield f"{name} was judged {recorded.judged[name]} times by the workflow."
    for never in kept.ended.never:
        yield f"{never.name} was never judged: {never.reason}."
    told = {each: getattr(kept.ended, each) for each in ("passed", "failed", "unknown")}
    found = Counter(kept.verdicts.values())
    if told != {each: found[each] for each in told} or kept.ended.judged != len(kept.records):
        yield f"the summary counts {told} of {kept.ended.judged} cases, the store has {found}."
    if kept.ended.run_again != len(kept.run_again):
        yield (
            f"the summary says that {kept.ended.run_again} cases ran again, the store says "
            f"{len(kept.run_again)}."
        )


def report_problems(url: str, kept: Kept, folder: Path) -> Iterator[str]:
    """What is missing in the report of a campaign, with each file of evidence compared with its
    hash; it is written into a folder. Raises StoreError.
    """
    report = write_reports(Store.open(url, kept.campaign_id), folder, verify=True)
    yield from (f"the report misses: {gap.case} {gap.problem}" for gap in report.gaps)
    if not report.has_ended or report.totals.judged != len(kept.records):
        yield f"the report has {report.totals.judged} of {len(kept.records)} verdicts."
    if report.totals.second_verdicts:
        yield f"{report.totals.second_verdicts} cases were judged a second time."
    if {each.case for each in report.again} != kept.run_again.keys():
        yield f"the report names {len(report.again)} cases that ran again, not all or others."


async def read_both(client: Client, url: str) -> tuple[Kept, Recorded]:
    """The only campaign of a place. Raises RuntimeError, StoreError, RPCError."""
    campaign_id = await asyncio.to_thread(campaign_in, url)
    kept = await asyncio.to_thread(read_kept, url, campaign_id)
    return kept, await read_recorded(client, campaign_id)

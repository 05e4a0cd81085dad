"""What a control cluster takes for 10,000 cases an hour.

The workflow, the activities, their heartbeats and the store are the real ones. The cases are
stand-ins, which wait for as long as a crash point takes: so one machine is enough for sixty of them
at once, and what the control server uses is its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from temporalio.client import Client
from temporalio.worker import Worker

from benchmarks.bed import Bed
from benchmarks.campaign_bed import ORDERS, CampaignBed, Control, campaign_bed
from benchmarks.campaign_results import problems, read_both
from benchmarks.figures import Found, Quantity, Row, Table
from chaos.environment.target import Target
from chaos.evidence.headroom import Meter
from chaos.invariants.verdict import Verdict
from chaos.process.programs import find_temporal_cli
from chaos.process.reaper import Reaper
from chaos.search.campaign import names
from chaos.search.campaign.activities import Activities, Parts
from chaos.search.campaign.code import code_of
from chaos.search.campaign.found import Found as FoundOut
from chaos.search.campaign.machine import Host, Machine
from chaos.search.campaign.model import (
    Batch,
    Campaign,
    CaseKind,
    CaseRef,
    Explore,
    Stage,
    Turn,
)
from chaos.search.campaign.store import Store
from chaos.search.campaign.summary import finish
from chaos.search.campaign.workflow import CampaignWorkflow, runner

QUESTION = "What does a control cluster take for 10,000 cases an hour?"

AT_ONCE = 60
CASE_SECONDS = 20.0
"""About what a crash point of the orders takes; so many at once are 10,800 an hour."""

THOROUGH, QUICK = 480, 120
"""Cases."""

_HOUR_SECONDS = 3600
_CELLS = ("kill|activity charge_card completing 1|charge_card|running",) * 2


@dataclass
class _Standing:
    """The parts of the activities that would need a stack."""

    total: int
    _given: int = 0
    _turns: dict[int, Batch] = field(default_factory=dict)

    async def plan(self, campaign: Campaign, machine: Machine, *_: object) -> Callable[[], int]:
        del campaign, machine
        return lambda: self.total

    def choose(self, campaign: Campaign, turn: Turn, store: Store, target: Target) -> Batch:
        del campaign, store, target
        if turn.number not in self._turns:
            most = min(turn.most, self.total - self._given)
            numbers = range(self._given, self._given + most)
            self._given += most
            refs = (CaseRef(name=f"order-point-{n:06}", kind=CaseKind.POINT) for n in numbers)
            is_last = self._given == self.total
            self._turns[turn.number] = Batch(cases=tuple(refs), is_last=is_last, total=self.total)
        return self._turns[turn.number]

    async def run(self, *given: object) -> FoundOut:
        """Its last arguments are the folder of the case, and what is told how far it is."""
        *_, folder, say = given
        if not isinstance(folder, Path) or not callable(say):
            raise TypeError(given)
        say(Stage.RUNNING)
        await asyncio.sleep(CASE_SECONDS)
        (folder / "evidence.txt").write_text("a stand-in\n")
        return FoundOut(Verdict.PASSED, cells=_CELLS, shapes=("0123456789abcdef",))

    @property
    def parts(self) -> Parts:
        """With the real end of a campaign."""
        return Parts(self.plan, self.run, self.run, self.choose, finish)


async def measure(bed: Bed, *, quick: bool) -> Found:
    """One campaign of stand-ins."""
    standing = _Standing(QUICK if quick else THOROUGH)
    async with campaign_bed(bed, "control") as place, place.control() as control:
        client = await control.server.connect()
        async with _machine(bed, client, standing) as code:
            campaign = Campaign(
                campaign_id="campaign-control",
                target="",
                code=code,
                evidence=place.place.url,
                work=Explore(specs=("order",)),
            )
            return await _measured(place, control, client, campaign)


async def _measured(
    place: CampaignBed, control: Control, client: Client, campaign: Campaign
) -> Found:
    before, cpu_before = await control.counts(), control.cpu_seconds
    began = datetime.now(UTC)
    await client.execute_workflow(
        CampaignWorkflow.run,
        args=[campaign, None],
        id=campaign.campaign_id,
        task_queue=names.control_queue(campaign.queue, campaign.code),
    )
    seconds = (datetime.now(UTC) - began).total_seconds()
    counts, cpu = (await control.counts()).since(before), control.cpu_seconds - cpu_before
    kept, recorded = await read_both(client, place.place.url)
    cases = len(kept.records)
    figures = {
        "cases an hour": (_HOUR_SECONDS * cases / seconds, ""),
        "processors in use": (cpu / seconds, ""),
        "processors, of a case": (cpu / cases, "s"),
        "calls of its API": (counts.calls.total() / cases, ""),
        "calls of its database": (counts.database / cases, ""),
        "events of the workflow": (recorded.events / cases, ""),
        "history": (recorded.size_bytes / cases / 1000, "KB"),
    }
    cells = {
        name: Quantity(values=(round(value, 4),), unit=unit)
        for name, (value, unit) in figures.items()
    }
    title = f"{cases} stand-ins of {CASE_SECONDS:g} s each, at most {AT_ONCE} at once"
    return Found(
        tables=(Table(title=title, rows=(Row(name="a dev server", cells=cells),)),),
        notes=("Machines of this process carry the stand-ins out; nobody follows the campaign.",),
        problems=tuple(problems(kept, recorded)),
    )


@asynccontextmanager
async def _machine(bed: Bed, client: Client, standing: _Standing) -> AsyncIterator[str]:
    """Both workers of a machine without stacks; the version that they serve."""
    code = code_of(ORDERS)
    with Reaper() as reaper:
        cli = find_temporal_cli(bed.temporal_cli, announce=lambda _: None)
        host = Host("stand-in", AT_ONCE, reaper, cli, Meter())
        activities = Activities(
            host=host,
            project=ORDERS,
            targets={"": Target(worker=("true",), task_queue="stand-in")},
            code=code,
            parts=standing.parts,
            leave=lambda _: None,
        )
        questions = Worker(
            client,
            task_queue=names.control_queue("temporal-chaos", code),
            workflows=[CampaignWorkflow],
            workflow_runner=runner(),
            activities=[activities.choose, activities.finish],
        )
        cases = Worker(
            client,
            task_queue=names.cases_queue("temporal-chaos", code),
            activities=[activities.plan, activities.case],
            max_concurrent_activities=AT_ONCE,
        )
        async with questions, cases:
            yield code
        await activities.close()

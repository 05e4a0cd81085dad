"""Stand-ins of a campaign's activities, so that its workflow alone is tried on a real server."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias
from uuid import uuid4

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from chaos.invariants.verdict import Verdict
from chaos.process.waiting import wait_until
from chaos.search.campaign import names
from chaos.search.campaign.account import Account, Limits
from chaos.search.campaign.gate import require_begin
from chaos.search.campaign.model import (
    Batch,
    Campaign,
    CaseKind,
    CaseRef,
    Ended,
    Judged,
    Progress,
    Turn,
    Work,
)
from chaos.search.campaign.workflow import CampaignWorkflow, runner

Handle: TypeAlias = WorkflowHandle[CampaignWorkflow, Ended]

CODE = "code"
_SOON = timedelta(milliseconds=100)


@dataclass
class StandIns:
    """A machine that judges at once, or when `going` is set; `cases` are those of the campaign."""

    cases: int = 0
    going: asyncio.Event = field(default_factory=asyncio.Event)
    turns: list[Turn] = field(default_factory=list)
    began: Counter[str] = field(default_factory=Counter)
    begun: asyncio.Condition = field(default_factory=asyncio.Condition)
    ended: list[Ended] = field(default_factory=list)
    silent: set[str] = field(default_factory=set)
    """Cases whose first machine is not heard any more."""
    doomed: set[str] = field(default_factory=set)
    """Cases whose machines are all lost."""
    not_begun: set[str] = field(default_factory=set)
    """Cases that are given back the first time."""
    is_gated: bool = False
    """Whether a case asks if it may begin, as those of real machines do."""
    shrinks: set[str] = field(default_factory=set)
    """Cases that shrink a failure."""
    at_once: int = 100
    silent_questions: set[str] = field(default_factory=set)
    """Activities other than cases whose first machine is not heard any more."""
    wrong_plan: str = ""
    wrong_choice: str = ""
    writing: asyncio.Event | None = None
    """Until it is set, the end is being written."""
    given: int = 0
    """Cases that were chosen."""

    @activity.defn(name=names.PLAN)
    async def plan(self, campaign: Campaign) -> int:
        del campaign
        if self.wrong_plan:
            raise ApplicationError(self.wrong_plan, non_retryable=True)
        return self.cases

    @activity.defn(name=names.CHOOSE)
    async def choose(self, campaign: Campaign, turn: Turn) -> Batch:
        del campaign
        await self._lost(names.CHOOSE)
        self.turns.append(turn)
        if self.wrong_choice and turn.number > 1:
            raise ApplicationError(self.wrong_choice, non_retryable=True)
        numbers = range(self.given, min(self.given + turn.most, self.cases))
        self.given += len(numbers)
        refs = [self._ref(f"case-{each}") for each in numbers]
        return Batch(cases=tuple(refs), is_last=self.given == self.cases, total=self.cases)

    def _ref(self, name: str) -> CaseRef:
        kind = CaseKind.SHRINK if name in self.shrinks else CaseKind.POINT
        return CaseRef(name=name, kind=kind)

    @activity.defn(name=names.CASE)
    async def case(self, campaign: Campaign, ref: CaseRef) -> Judged:
        if self.is_gated:
            await require_begin(activity.client(), campaign.campaign_id)
        async with self.begun:
            self.began[ref.name] += 1
            self.begun.notify_all()
        attempt = activity.info().attempt
        if ref.name in self.not_begun:
            self.not_begun.remove(ref.name)
            raise ApplicationError("it had not begun", type=names.NOT_BEGUN, non_retryable=True)
        if ref.name in self.doomed or (ref.name in self.silent and attempt == 1):
            await asyncio.Event().wait()
        waiting = asyncio.create_task(self.going.wait())
        try:
            while not waiting.done():
                activity.heartbeat()
                await asyncio.wait({waiting}, timeout=0.1)
        finally:
            waiting.cancel()
        verdict = Verdict.FAILED if ref.name.endswith("7") else Verdict.PASSED
        return Judged(
            name=ref.name, verdict=verdict, machine="one", attempt=attempt, cells=("kill x a",)
        )

    @activity.defn(name=names.FINISH)
    async def finish(self, campaign: Campaign, ended: Ended) -> None:
        del campaign
        await self._lost(names.FINISH)
        self.ended.append(ended)
        if self.writing:
            await self.writing.wait()

    async def _lost(self, name: str) -> None:
        if name in self.silent_questions and activity.info().attempt == 1:
            await asyncio.Event().wait()

    async def until_begun(self, number: int) -> None:
        """Wait until so many cases have begun."""
        async with self.begun:
            await self.begun.wait_for(lambda: len(self.began) >= number)

    @asynccontextmanager
    async def polling(self, client: Client, campaign: Campaign) -> AsyncIterator[None]:
        """The workers that a machine has: for the workflow, and for its cases."""
        queue, code = campaign.queue, campaign.code
        async with AsyncExitStack() as stack:
            for worker in (
                Worker(
                    client,
                    task_queue=names.control_queue(queue, code),
                    workflows=[CampaignWorkflow],
                    activities=[self.choose, self.finish],
                    workflow_runner=runner(),
                ),
                Worker(
                    client,
                    task_queue=names.cases_queue(queue, code),
                    activities=[self.plan, self.case],
                    max_concurrent_activities=self.at_once,
                    max_heartbeat_throttle_interval=_SOON,
                    default_heartbeat_throttle_interval=_SOON,
                ),
            ):
                await stack.enter_async_context(worker)
            yield


def campaign_of(work: Work, *, minutes: float | None = None) -> Campaign:
    """A campaign of its own queue."""
    campaign_id = f"campaign-{uuid4().hex[:8]}"
    return Campaign(
        campaign_id=campaign_id,
        target="",
        code=CODE,
        evidence="memory://",
        work=work,
        queue=campaign_id,
        minutes=minutes,
    )


async def start(client: Client, campaign: Campaign, limits: Limits) -> Handle:
    """Start its workflow."""
    return await client.start_workflow(
        CampaignWorkflow.run,
        args=[campaign, Account(limits=limits)],
        id=campaign.campaign_id,
        task_queue=names.control_queue(campaign.queue, campaign.code),
    )


async def until(handle: Handle, holds: Callable[[Progress], bool], what: str) -> None:
    """Wait until the answer to the query says so."""

    async def asked() -> bool:
        return holds(await handle.query(CampaignWorkflow.progress))

    await wait_until(asked, what=what, deadline_seconds=20)

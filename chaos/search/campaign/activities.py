"""The activities of a campaign, as a worker process carries them out."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError

from chaos.environment.target import Target
from chaos.evidence.text import plain
from chaos.experiment.catalogue import CatalogueError
from chaos.invariants.verdict import Verdict
from chaos.search.campaign import names
from chaos.search.campaign.beat import Pulse
from chaos.search.campaign.bundles import BundleError
from chaos.search.campaign.code import CodeError, code_of
from chaos.search.campaign.found import ElsewhereError, Found, Say
from chaos.search.campaign.gate import require_begin
from chaos.search.campaign.keep import Attempted, CpuClock, keep_case, read_record
from chaos.search.campaign.machine import Host, Machine, open_machine
from chaos.search.campaign.model import (
    Batch,
    Campaign,
    CaseKind,
    CaseRef,
    Ended,
    Judged,
    Stage,
    Turn,
)
from chaos.search.campaign.store import DamagedError, Store, StoreError
from chaos.search.crash.lanes import TROUBLE
from chaos.search.crash.points import PlanError
from chaos.search.probe.baseline import NoBaselineError
from chaos.search.schedule import ScheduleError

HANDED_BACK = "HandedBack"
"""The type of a failure of an attempt that ended itself: another machine may have the case."""

IMPOSSIBLE = "Impossible"
"""The type of a failure that no other attempt would mend."""

_FINAL = (PlanError, NoBaselineError, ScheduleError, CatalogueError)
"""What another machine would find as well: it has the same code."""

_AWAY_AT_FIRST, _AWAY_AT_MOST = timedelta(seconds=5), timedelta(minutes=5)
"""Before the next attempt where the store cannot be used: all attempts last for two hours."""

_POINTS = {CaseKind.POINT, CaseKind.PROBED}
_LONGEST_REASON = 1000

_T = TypeVar("_T")


class LeavingError(Exception):
    """The process takes no such case any more. One sentence: why, and what to do."""


@dataclass(frozen=True)
class Parts:
    """What the activities consist of."""

    plan: Callable[[Campaign, Machine, Store, Path, Say], Awaitable[Callable[[], int]]]
    run_point: Callable[[Campaign, CaseRef, Machine, Store, Path, Say], Awaitable[Found]]
    run_case: Callable[[Campaign, CaseRef, Machine, Store, Path, Say], Awaitable[Found]]
    choose: Callable[[Campaign, Turn, Store, Target], Batch]
    finish: Callable[[Campaign, Ended, Store], None]


@dataclass
class Activities:
    """Those of one process. `targets` are what it serves, by name, the first for a campaign that
    names none. `leave` is called once, with a sentence, when the code of the project is no longer
    the one that it serves; `is_up` when a case has started what it runs on.
    """

    host: Host
    project: Path
    targets: Mapping[str, Target]
    code: str
    parts: Parts
    leave: Callable[[str], object]
    is_up: Callable[[], None] = lambda: None
    say: Callable[[str], None] = lambda _: None
    _machines: dict[str, Machine] = field(default_factory=dict)
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    _ends: AsyncExitStack = field(default_factory=AsyncExitStack)
    _clock: CpuClock = field(default_factory=CpuClock)

    @activity.defn(name=names.PLAN)
    async def plan(self, campaign: Campaign) -> int:
        """Make the plan of a campaign, unless there is one; how many cases it has."""
        async with self._attempt(campaign) as pulse:
            machine = await self._machine(campaign)
            store = await _store(campaign)
            with self.host.fresh_folder("plan-") as folder:
                save = await self.parts.plan(campaign, machine, store, folder, pulse.say)
                await self._require_code(campaign)
                pulse.say(Stage.SAVING)
                return await _to_the_end(asyncio.to_thread(save))

    @activity.defn(name=names.CHOOSE)
    async def choose(self, campaign: Campaign, turn: Turn) -> Batch:
        """Choose the next cases."""
        async with self._attempt(campaign):
            target = self.targets[self._name(campaign)]
            store = await _store(campaign)
            return await asyncio.to_thread(self.parts.choose, campaign, turn, store, target)

    @activity.defn(name=names.FINISH)
    async def finish(self, campaign: Campaign, ended: Ended) -> None:
        """Write the summary."""
        async with self._attempt(campaign):
            store = await _store(campaign)
            await asyncio.to_thread(self.parts.finish, campaign, ended, store)

    @activity.defn(name=names.CASE)
    async def case(self, campaign: Campaign, ref: CaseRef) -> Judged:
        """Carry out a case, unless it has a verdict; the verdict that counts, which is in the
        store with all evidence when this returns.
        """
        async with self._attempt(campaign) as pulse:
            store = await _store(campaign)
            if known := await asyncio.to_thread(read_record, store, ref.name):
                return known.judged
            await require_begin(activity.client(), campaign.campaign_id)
            judged = await self._carry_out(campaign, ref, store, pulse)
            self.say(_line(judged))
            return judged

    async def _carry_out(
        self, campaign: Campaign, ref: CaseRef, store: Store, pulse: Pulse
    ) -> Judged:
        machine = await self._machine(campaign)
        run = self.parts.run_point if ref.kind in _POINTS else self.parts.run_case
        with self.host.fresh_folder("case-") as folder:
            began_at = datetime.now(UTC)
            found = await run(campaign, ref, machine, store, folder, pulse.say)
            attempted = Attempted(
                ref=ref,
                found=found,
                folder=folder,
                machine=machine.name,
                slots=machine.slots,
                attempt=activity.info().attempt,
                lost=pulse.lost,
                began_at=began_at,
                ended_at=datetime.now(UTC),
                server=machine.server_version,
                code=self.code,
                cpu_seconds=self._clock.since_last(),
            )
            await self._require_code(campaign)
            pulse.say(Stage.SAVING)
            record = await _to_the_end(
                asyncio.to_thread(keep_case, store, attempted, campaign.keep)
            )
        return record.judged

    async def close(self) -> None:
        """End what runs for cases."""
        await self._ends.aclose()

    @asynccontextmanager
    async def _attempt(self, campaign: Campaign) -> AsyncIterator[Pulse]:
        """Heartbeats during an attempt, and its failure as Temporal should take it: what could not
        be carried out here is no verdict, and another machine tries.
        """
        pulse = Pulse(self.host.name, self.is_up)
        async with pulse.beating():
            try:
                await self._require_code(campaign)
                yield pulse
            except asyncio.CancelledError:
                if not activity.is_worker_shutdown():
                    raise
                pulse.hand_back()
                raise _failure(f"{self.host.name} was stopped") from None
            except _FINAL as error:
                raise ApplicationError(
                    plain(str(error)), type=IMPOSSIBLE, non_retryable=True
                ) from None
            except ApplicationError:
                pulse.hand_back()
                raise
            except StoreError as error:
                pulse.hand_back()
                is_away = not isinstance(error, DamagedError)
                raise _failure(_sentence(error), _until_back() if is_away else None) from None
            except Exception as error:  # noqa: BLE001 - whatever it is, it is no verdict
                pulse.hand_back()
                raise _failure(_sentence(error)) from None

    async def _require_code(self, campaign: Campaign) -> None:
        """Raise LeavingError where this is no longer the code that was asked for: its verdict would
        be about another one.
        """
        try:
            found = await asyncio.to_thread(code_of, self.project)
        except (CodeError, CatalogueError) as error:
            found = plain(str(error))
        if found == self.code == campaign.code:
            return
        if found == self.code:
            raise LeavingError(f"a campaign of the code {campaign.code} came to that of {found}.")
        why = f"the code in {self.project} has changed from {self.code} to {found}: start it again."
        self.leave(why)
        raise LeavingError(why)

    def _name(self, campaign: Campaign) -> str:
        """Its target's. Raises LeavingError where this process does not serve it, CatalogueError
        where nobody should.
        """
        name = campaign.target or next(iter(self.targets))
        if name not in self.targets:
            served = ", ".join(self.targets)
            raise LeavingError(f"{self.host.name} does not serve the target {name}, only {served}.")
        if self.targets[name].live:
            raise CatalogueError(f"the target {name} pays real money: no campaign may run it.")
        return name

    async def _machine(self, campaign: Campaign) -> Machine:
        name = self._name(campaign)
        async with self._opening:
            if name not in self._machines:
                opening = open_machine(self.host, self.targets[name], self.project)
                self._machines[name] = await self._ends.enter_async_context(opening)
            return self._machines[name]


async def _store(campaign: Campaign) -> Store:
    return await asyncio.to_thread(Store.open, campaign.evidence, campaign.campaign_id)


async def _to_the_end(doing: Awaitable[_T]) -> _T:
    """What is being saved is saved, even if its activity is cancelled meanwhile: its thread cannot
    be stopped, and a verdict that is there need not be found again.
    """
    task = asyncio.ensure_future(doing)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        return await task


def _failure(sentence: str, wait: timedelta | None = None) -> ApplicationError:
    return ApplicationError(sentence, type=HANDED_BACK, next_retry_delay=wait)


def _until_back() -> timedelta:
    """A shared place that is away for some minutes must not use up the attempts of all cases."""
    return min(_AWAY_AT_FIRST * (1 << (activity.info().attempt - 1)), _AWAY_AT_MOST)


def _sentence(error: Exception) -> str:
    """What happened. Of an error that nobody expects, also where: the history of a workflow is no
    place for a stack trace.
    """
    if isinstance(error, (*TROUBLE, StoreError, BundleError, LeavingError, ElsewhereError)):
        return plain(str(error) or repr(error), _LONGEST_REASON)
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}, line {last.lineno}"
    return plain(f"{error!r} ({where})", _LONGEST_REASON)


def _line(judged: Judged) -> str:
    again = f", attempt {judged.attempt}" if judged.attempt > 1 else ""
    because = "" if judged.verdict is Verdict.PASSED else f" ({judged.reason})"
    return f"{judged.name}: {judged.verdict} in {judged.seconds:.1f} s{again}{because}"

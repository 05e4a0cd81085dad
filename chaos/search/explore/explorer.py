"""One stack, several lanes: each takes the next target, until none is left or the time is up."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from temporalio.service import RPCError

from chaos.environment.stack import Place, Stack, StackSpec
from chaos.evidence.case import Evidence
from chaos.evidence.history import Status
from chaos.evidence.journal import Journal
from chaos.experiment.lab import Lab, Options
from chaos.invariants.verdict import Verdict
from chaos.process.child import ChildError, spawning
from chaos.process.reaper import Guard
from chaos.process.waiting import DeadlineExceededError
from chaos.search.explore.judging import broken_try, judge_try
from chaos.search.explore.keep import Source, keep, read_passed
from chaos.search.explore.lane import Lane
from chaos.search.explore.moments import Actor, Stage
from chaos.search.explore.plan import Choice, Load, Plan, Reference, Target
from chaos.search.explore.points import PlanError, event_names, stops
from chaos.search.explore.state import TRIES, Outcome, State, StateError, Try
from tests.chaos.video.fake_api.settings import LatencyChange

VIDEO_SECONDS = 0.8
"""How long a video is rendered: the first poll comes much sooner, and the second later, so that a
worker polls as often in every run."""

DEFAULT_LANES = 4 * (os.cpu_count() or 1)
"""Most of a lane's time is waiting: for a workflow task's 10 s, or for a missing heartbeat."""

REFERENCE_TRIES = 3

_TO_HEARTBEATS = {(Actor.ACTIVITY, Stage.POLLED), (Actor.TASK, Stage.COMPLETED)}
"""Where a worker dies that was given an activity and has not told its fleet so."""

_TROUBLE = (ChildError, DeadlineExceededError, TimeoutError, RPCError)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Means:
    """What an exploration runs with. `worker` are module and arguments, where it is not the usual
    one; no target is begun after `seconds`.
    """

    temporal_cli: Path
    guard: Guard
    say: Say
    lanes: int = DEFAULT_LANES
    seconds: float | None = None
    worker: Sequence[str] = ()


async def explore(state: State, choice: Choice, means: Means) -> None:
    """Try what is not done yet of a choice. What is done is on record whenever this ends."""
    if state.is_finished:
        return
    number = len(list(state.folder.glob("stack-*"))) + 1
    evidence = state.folder / f"stack-{number}"
    scratch = means.guard.folder / "explore"
    scratch.mkdir()
    journal = Journal(evidence / "journal.jsonl", lambda _: None)
    with closing(journal), spawning(means.guard) as spawner:
        place = Place(
            mark=means.guard.mark,
            scratch=scratch,
            evidence=evidence,
            temporal_cli=means.temporal_cli,
            name="explore",
            spawner=spawner,
        )
        async with Stack(StackSpec(persistent=False), place, journal) as stack:
            await stack.api.control.set_latencies(LatencyChange(video_seconds=VIDEO_SECONDS))
            lab = Lab(stack, journal, Options())
            await _Exploration(state, means, lab, evidence, scratch).run(choice)


@dataclass
class _Exploration:
    state: State
    means: Means
    lab: Lab
    stack: Path
    scratch: Path
    _starting: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(os.cpu_count() or 1)
    )
    _began: float = field(default_factory=time.monotonic)

    async def run(self, choice: Choice) -> None:
        first = self._lane(1)
        await first.start()
        if self.state.plan is None:
            references = [await self._reference(first, load) for load in choice.loads]
            self.state.save_plan(Plan.of(choice, references))
        left = deque(sorted(self._left(), key=_slow_first))
        lanes = [self._lane(number) for number in range(2, min(self.means.lanes, len(left)) + 1)]
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._work(first, left))
                for lane in lanes:
                    group.create_task(self._begin_to_work(lane, left))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None

    def _left(self) -> Sequence[Target]:
        return [outcome.target for outcome in self.state.outcomes() if not outcome.is_done]

    def _lane(self, number: int) -> Lane:
        name = f"lane-{number}"
        return Lane(self.lab, name, self.scratch / name, self.means.worker)

    async def _reference(self, lane: Lane, load: Load) -> Reference:
        """Run a workflow that nobody disturbs, and make stops of it. Raises PlanError.

        On a machine that is busy with other things the first may be disturbed all the same.
        """
        for number in range(1, REFERENCE_TRIES):
            with suppress(PlanError):
                return await self._fault_free(lane, load, number)
        return await self._fault_free(lane, load, REFERENCE_TRIES)

    async def _fault_free(self, lane: Lane, load: Load, number: int) -> Reference:
        asked = load.asked(f"{load}-fault-free-{self.stack.name}-{number}")
        folder = self.state.folder / TRIES / asked.workflow_id
        folder.mkdir()
        await lane.run(asked, None)
        await keep(self._source(lane), folder, asked, b"")
        workflow = Evidence.load(folder).workflows[asked.workflow_id]
        return Reference(
            load=load,
            events=tuple(event_names(workflow)),
            stops=tuple(stops(workflow, read_passed(folder))),
        )

    async def _begin_to_work(self, lane: Lane, left: deque[Target]) -> None:
        """Start a lane; where that is not possible there is one less."""
        try:
            async with self._starting:
                await lane.start()
        except _TROUBLE as error:
            self.means.say(f"{lane.name} cannot be started, the others go on: {error}")
        else:
            await self._work(lane, left)

    async def _work(self, lane: Lane, left: deque[Target]) -> None:
        while left and not self._time_is_up:
            target = left.popleft()
            outcome = self.state.add(await self._try(lane, target))
            self._tell(outcome)
            if not outcome.is_done:
                left.append(target)

    @property
    def _time_is_up(self) -> bool:
        return self.means.seconds is not None and self._age_seconds >= self.means.seconds

    @property
    def _age_seconds(self) -> float:
        return time.monotonic() - self._began

    async def _try(self, lane: Lane, target: Target) -> Try:
        """Bring a worker to a target, and judge what came of it by the files alone."""
        plan = self._plan
        workflow_id, began_at = self.state.new_id(target), datetime.now(UTC)
        folder = self.state.folder / TRIES / workflow_id
        asked, offset = target.load.asked(workflow_id), lane.log_size()
        try:
            await lane.run(asked, target.stop.moment)
            ended_at = datetime.now(UTC)
            await keep(self._source(lane), folder, asked, lane.log_from(offset))
        except _TROUBLE as error:
            await self._clear(lane, workflow_id)
            return broken_try(target, workflow_id, began_at, f"it could not be tried: {error}")
        reference = plan.reference(target.load)
        found = await asyncio.to_thread(judge_try, folder, target, reference, began_at, ended_at)
        if found.status is Status.RUNNING:
            await self._clear(lane, workflow_id)
        return found

    async def _clear(self, lane: Lane, workflow_id: str) -> None:
        """Leave nothing of a try to the next one."""
        with suppress(RPCError):
            await self.lab.handle(workflow_id).terminate("it was given up")
        await lane.restart()

    def _source(self, lane: Lane) -> Source:
        return Source(self.lab.client, self.lab.ledger_url, self.stack, lane.folder)

    @property
    def _plan(self) -> Plan:
        if self.state.plan is None:
            raise StateError("an exploration without a plan has nothing to try.")
        return self.state.plan

    def _tell(self, outcome: Outcome) -> None:
        """One line a try."""
        last = outcome.tries[-1]
        done = sum(each.is_done for each in self.state.outcomes())
        seconds = last.recovery_seconds
        recovered = "" if seconds is None else f", taken up after {seconds:.2f} s"
        what = f"{len(last.proven)} of {len(outcome.target.stop.points)} points hit{recovered}"
        because = "" if last.verdict is Verdict.PASSED else f" ({last.reason})"
        self.means.say(
            f"{self._age_seconds:6.1f} s  {done}/{len(self._plan.chosen)}  "
            f"{last.workflow_id}: {last.verdict}, {what}{because}"
        )


def _slow_first(target: Target) -> int:
    """Those that wait for a heartbeat or a workflow task first: they take longest."""
    moment = target.stop.moment
    if (moment.actor, moment.stage) in _TO_HEARTBEATS:
        return 0
    return 1 if moment.actor is Actor.TASK else 2

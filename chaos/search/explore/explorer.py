"""One stack, several lanes: each takes the next crash point, until none is left or time is up."""

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

from chaos.environment.stack import Stack, StackConfig, StackSpec
from chaos.environment.target import Target
from chaos.evidence.history import Status
from chaos.evidence.journal import Journal
from chaos.experiment.lab import Lab, Options
from chaos.invariants.verdict import Verdict
from chaos.process.child import ChildError, spawning
from chaos.process.reaper import Guard
from chaos.process.waiting import DeadlineExceededError
from chaos.search.explore.doom import doom
from chaos.search.explore.judging import Attempt, broken_try, judge_try
from chaos.search.explore.keep import JOURNAL, keep, read_passed
from chaos.search.explore.lane import Lane
from chaos.search.explore.moments import Actor, Stage
from chaos.search.explore.plan import Choice, CrashPoint, Plan, Reference
from chaos.search.explore.points import PlanError, event_names, stops
from chaos.search.explore.state import TRIES, Outcome, State, StateError, Try

DEFAULT_LANES = 4 * (os.cpu_count() or 1)
"""Most of a lane's time is waiting: for a workflow task's 10 s, or for a missing heartbeat."""

REFERENCE_TRIES = 3

SPEC = StackSpec(
    persistent=False,
    # Else an activity may begin in the very answer that schedules it, and nobody dies in between.
    dynamic_config={"system.enableActivityEagerExecution": "false"},
)

_TO_HEARTBEATS = {(Actor.ACTIVITY, Stage.POLLED), (Actor.TASK, Stage.COMPLETED)}
"""Where a worker dies that was given an activity and has not told a supervisor so."""

_TROUBLE = (ChildError, DeadlineExceededError, TimeoutError, RPCError)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Means:
    """What an exploration runs with. `worker` is a command line in place of the target's; no crash
    point is begun after `seconds`.
    """

    target: Target
    temporal_cli: Path
    guard: Guard
    say: Say
    lanes: int = DEFAULT_LANES
    seconds: float | None = None
    worker: Sequence[str] = ()


async def explore(state: State, choice: Choice, means: Means) -> None:
    """Try what is not done yet of a choice. What is done is on record whenever this ends.

    Raises PlanError where the target cannot be explored.
    """
    if state.is_finished:
        return
    number = len(list(state.folder.glob("stack-*"))) + 1
    evidence = state.folder / f"stack-{number}"
    scratch = means.guard.folder / "explore"
    scratch.mkdir()
    target = means.target
    journal = Journal(evidence / JOURNAL, lambda _: None)
    with closing(journal), spawning(means.guard, target.preload, target.folder_in(None)) as spawner:
        config = StackConfig(
            mark=means.guard.mark,
            scratch=scratch,
            evidence=evidence,
            temporal_cli=means.temporal_cli,
            name="explore",
            spawner=spawner,
        )
        async with Stack(SPEC, target, config, journal) as stack:
            lab: Lab = (target.lab or Lab)(stack, journal, Options())
            try:
                if target.explored.prepare:
                    await target.explored.prepare(lab)
                await _Exploration(state, means, lab, evidence, scratch).run(choice)
            finally:
                await lab.close()


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
        worker = doom(self.means.worker or self.lab.stack.placement.worker())
        first = self._lane(1, worker)
        await first.start()
        if self.state.plan is None:
            references = [await self._reference(first, spec) for spec in choice.specs]
            self.state.save_plan(Plan.of(choice, references))
        left = deque(sorted(self._left(), key=_slow_first))
        count = min(self.means.lanes, len(left))
        lanes = [self._lane(number, worker) for number in range(2, count + 1)]
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._work(first, left))
                for lane in lanes:
                    group.create_task(self._begin_to_work(lane, left))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None

    def _left(self) -> Sequence[CrashPoint]:
        return [outcome.crash_point for outcome in self.state.outcomes() if not outcome.is_done]

    def _lane(self, number: int, worker: Sequence[str]) -> Lane:
        name = f"lane-{number}"
        settings = self.means.target.explored.settings
        return Lane(self.lab, name, self.scratch / name, worker, settings)

    async def _reference(self, lane: Lane, spec: str) -> Reference:
        """Run a workflow that nobody disturbs, and make stops of it. Raises PlanError.

        On a machine that is busy with other things the first may be disturbed all the same.
        """
        for number in range(1, REFERENCE_TRIES):
            with suppress(PlanError):
                return await self._fault_free(lane, spec, number)
        return await self._fault_free(lane, spec, REFERENCE_TRIES)

    async def _fault_free(self, lane: Lane, spec: str, number: int) -> Reference:
        asked = self.means.target.specs[spec](f"{spec}-fault-free-{self.stack.name}-{number}")
        folder = self.state.folder / TRIES / asked.workflow_id
        folder.mkdir()
        ends = lane.log_ends()
        await lane.run(asked, None)
        await keep(self.lab, lane.folder, folder, asked, lane.logged_since(ends))
        evidence = self.means.target.load_evidence(folder)
        workflow = evidence.workflows[asked.workflow_id]
        return Reference(
            spec=spec,
            events=tuple(event_names(workflow)),
            stops=tuple(stops(workflow, read_passed(folder))),
        )

    async def _begin_to_work(self, lane: Lane, left: deque[CrashPoint]) -> None:
        """Start a lane; where that is not possible there is one less."""
        try:
            async with self._starting:
                await lane.start()
        except _TROUBLE as error:
            self.means.say(f"{lane.name} cannot be started, the others go on: {error}")
        else:
            await self._work(lane, left)

    async def _work(self, lane: Lane, left: deque[CrashPoint]) -> None:
        while left and not self._time_is_up:
            crash_point = left.popleft()
            outcome = self.state.add(await self._try(lane, crash_point))
            self._tell(outcome)
            if not outcome.is_done:
                left.append(crash_point)

    @property
    def _time_is_up(self) -> bool:
        return self.means.seconds is not None and self._age_seconds >= self.means.seconds

    @property
    def _age_seconds(self) -> float:
        return time.monotonic() - self._began

    async def _try(self, lane: Lane, crash_point: CrashPoint) -> Try:
        """Bring a worker to a crash point, and judge what came of it by the files alone."""
        workflow_id, began_at = self.state.new_id(crash_point), datetime.now(UTC)
        folder = self.state.folder / TRIES / workflow_id
        asked = self.means.target.specs[crash_point.spec](workflow_id)
        ends = lane.log_ends()
        try:
            await lane.run(asked, crash_point.stop.moment)
            ended_at = datetime.now(UTC)
            await keep(self.lab, lane.folder, folder, asked, lane.logged_since(ends))
        except _TROUBLE as error:
            await self._clear(lane, workflow_id)
            return broken_try(crash_point, workflow_id, began_at, f"it could not be tried: {error}")
        reference = self._plan.reference(crash_point.spec)
        attempt = Attempt(self.means.target, crash_point, reference)
        found = await asyncio.to_thread(judge_try, folder, attempt, began_at, ended_at)
        if found.status is Status.RUNNING:
            await self._clear(lane, workflow_id)
        return found

    async def _clear(self, lane: Lane, workflow_id: str) -> None:
        """Leave nothing of a try to the next one."""
        with suppress(RPCError):
            await self.lab.handle(workflow_id).terminate("it was given up")
        await lane.restart()

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
        what = f"{len(last.proven)} of {len(outcome.crash_point.stop.points)} points hit{recovered}"
        because = "" if last.verdict is Verdict.PASSED else f" ({last.reason})"
        self.means.say(
            f"{self._age_seconds:6.1f} s  {done}/{len(self._plan.chosen)}  "
            f"{last.workflow_id}: {last.verdict}, {what}{because}"
        )


def _slow_first(crash_point: CrashPoint) -> int:
    """Those that wait for a heartbeat or a workflow task first: they take longest."""
    moment = crash_point.stop.moment
    if (moment.actor, moment.stage) in _TO_HEARTBEATS:
        return 0
    return 1 if moment.actor is Actor.TASK else 2

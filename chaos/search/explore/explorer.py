"""Several lanes on one stack: each takes the next crash point, until none is left or time is up."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from chaos.evidence.history import Status
from chaos.invariants.verdict import Verdict
from chaos.search.crash.lane import Lane
from chaos.search.crash.lanes import TROUBLE, Lanes, Means, open_lanes
from chaos.search.crash.points import PlanError
from chaos.search.explore.judging import broken_attempt, judge_attempt
from chaos.search.explore.plan import Choice, Plan, PlannedHit, Reference
from chaos.search.explore.state import ATTEMPTS, NOT_REACHED, Attempt, Outcome, State, StateError
from chaos.wire.boundary import Kind, Stage
from chaos.wire.journal import read_wire

REFERENCE_ATTEMPTS = 3

_TO_HEARTBEATS = {
    (Kind.ACTIVITY, Stage.ASSIGNED),
    (Kind.ACTIVITY, Stage.DELIVERED),
    (Kind.WORKFLOW_TASK, Stage.COMPLETED),
}
"""Kinds of boundaries where a worker has an activity that its supervisor does not know of."""


async def explore(state: State, choice: Choice, means: Means) -> None:
    """Attempt the remaining points of a choice. Results are on record whenever this ends. Raises
    PlanError if the target cannot be explored.
    """
    if state.is_finished:
        return
    number = len(list(state.folder.glob("stack-*"))) + 1
    async with open_lanes(means, state.folder / f"stack-{number}") as lanes:
        await _Exploration(state, means, lanes).run(choice)


@dataclass
class _Exploration:
    state: State
    means: Means
    lanes: Lanes

    async def run(self, choice: Choice) -> None:
        first = self.lanes.make(1)
        await first.start()
        if self.state.plan is None:
            references = [await self._reference(first, spec) for spec in choice.specs]
            self.state.save_plan(Plan.of(choice, references))
        left = deque(sorted(self._left(), key=_slow_first))

        async def attempt(lane: Lane, planned: PlannedHit) -> str:
            found = await self._attempt(lane, planned)
            outcome = self.state.add(found)
            self._tell(outcome)
            if not outcome.is_done:
                left.append(planned)
            is_open = found.status is Status.RUNNING or not found.is_carried_out
            return found.workflow_id if is_open else ""

        await self.lanes.work_off([first], left, attempt)

    def _left(self) -> Sequence[PlannedHit]:
        return [outcome.planned for outcome in self.state.outcomes() if not outcome.is_done]

    async def _reference(self, lane: Lane, spec: str) -> Reference:
        """Run a workflow undisturbed, and derive points from it. Raises PlanError. On a busy
        machine the first run may be disturbed all the same.
        """
        for number in range(1, REFERENCE_ATTEMPTS):
            with suppress(PlanError):
                return await self._fault_free(lane, spec, number)
        return await self._fault_free(lane, spec, REFERENCE_ATTEMPTS)

    async def _fault_free(self, lane: Lane, name: str, number: int) -> Reference:
        spec = self.means.target.specs[name](f"{name}-fault-free-{self.lanes.folder.name}-{number}")
        folder = self.state.folder / ATTEMPTS / spec.workflow_id
        folder.mkdir()
        await lane.attempt(spec, folder)
        workflow = self.means.target.load_evidence(folder).workflows[spec.workflow_id]
        return Reference.of(name, workflow, read_wire(folder))

    async def _attempt(self, lane: Lane, planned: PlannedHit) -> Attempt:
        """Hit a workflow at a crash point, and judge the outcome by the files only."""
        workflow_id, began_at = self.state.new_id(planned), datetime.now(UTC)
        folder = self.state.folder / ATTEMPTS / workflow_id
        target = self.means.target
        try:
            spec = target.specs[planned.spec](workflow_id)
            await lane.attempt(spec, folder, planned, usual_seconds=planned.seconds)
            ended_at = datetime.now(UTC)
        except TROUBLE as error:
            return broken_attempt(planned, workflow_id, began_at, f"it could not be tried: {error}")
        return await asyncio.to_thread(judge_attempt, folder, target, planned, began_at, ended_at)

    @property
    def _plan(self) -> Plan:
        if self.state.plan is None:
            raise StateError("an exploration without a plan has nothing to try.")
        return self.state.plan

    def _tell(self, outcome: Outcome) -> None:
        """One line for each attempt."""
        last = outcome.attempts[-1]
        done = sum(each.is_done for each in self.state.outcomes())
        seconds = last.recovery_seconds
        recovered = "" if seconds is None else f", resumed after {seconds:.2f} s"
        points = len(outcome.planned.point.boundaries)
        hit = f"{len(last.proven)} of {points} points hit" if last.is_reached else NOT_REACHED
        what = f"{hit}{recovered}"
        because = "" if last.verdict is Verdict.PASSED else f" ({last.reason})"
        self.means.tell(
            f"{done}/{len(self._plan.chosen)}  {last.workflow_id}: {last.verdict}, {what}{because}"
        )


def _slow_first(planned: PlannedHit) -> int:
    """Points that wait for a heartbeat or a workflow task first: they take longest."""
    boundary = planned.point.boundary
    if (boundary.kind, boundary.stage) in _TO_HEARTBEATS:
        return 0
    return 1 if boundary.kind is Kind.WORKFLOW_TASK else 2

"""Several lanes on one stack: each takes the next crash point, until none is left or time is up."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from chaos.invariants.verdict import Verdict
from chaos.search.crash.lane import Lane
from chaos.search.crash.lanes import TROUBLE, Lanes, Means, open_lanes
from chaos.search.explore.attempts import hit, left_behind, reference
from chaos.search.explore.judging import broken_attempt
from chaos.search.explore.plan import Choice, Plan, PlannedHit, Reference, slow_first
from chaos.search.explore.state import ATTEMPTS, NOT_REACHED, Attempt, Outcome, State, StateError


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
        left = deque(sorted(self._left(), key=slow_first))

        async def attempt(lane: Lane, planned: PlannedHit) -> str:
            found = await self._attempt(lane, planned)
            outcome = self.state.add(found)
            self._tell(outcome)
            if not outcome.is_done:
                left.append(planned)
            return left_behind(found)

        await self.lanes.work_off([first], left, attempt)

    def _left(self) -> Sequence[PlannedHit]:
        return [outcome.planned for outcome in self.state.outcomes() if not outcome.is_done]

    async def _reference(self, lane: Lane, spec: str) -> Reference:
        """Raises PlanError."""

        def folder_of(number: int) -> Path:
            name = f"{spec}-fault-free-{self.lanes.folder.name}-{number}"
            folder = self.state.folder / ATTEMPTS / name
            folder.mkdir()
            return folder

        return await reference(lane, spec, folder_of)

    async def _attempt(self, lane: Lane, planned: PlannedHit) -> Attempt:
        """What cannot be carried out is on record as well."""
        workflow_id, began_at = self.state.new_id(planned), datetime.now(UTC)
        try:
            folder = self.state.folder / ATTEMPTS / workflow_id
            return (await hit(lane, planned, folder)).attempt
        except TROUBLE as error:
            return broken_attempt(planned, workflow_id, began_at, f"it could not be tried: {error}")

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

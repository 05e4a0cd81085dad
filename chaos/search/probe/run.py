"""A probe: two undisturbed runs, then one for each point, several side by side."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from chaos.process.child import ChildError
from chaos.search.crash.lane import Lane
from chaos.search.crash.lanes import TROUBLE, Lanes, Means, open_lanes
from chaos.search.crash.points import Disturbance
from chaos.search.probe.attempts import (
    UNDISTURBED_RUNS,
    Attempted,
    Attempts,
    Normal,
    undisturbed,
)
from chaos.search.probe.baseline import Baseline, told
from chaos.search.probe.judging import Judge, broken
from chaos.search.probe.plan import Choice, chosen, disturbances
from chaos.search.probe.record import Cell, Fate, Probe, Undisturbed

PREFIX = "probe-"
RUNS = "runs"
PATIENCE_SECONDS = 90.0
"""Longer than a minute and a retry: most activities have such a timeout, which is no defect."""

MOST_ATTEMPTS = 3
"""How often a point that was not provably hit is tried: the workflow may take another way."""


@dataclass(frozen=True)
class Wanted:
    """The spec that is probed, of the means' target. `command` is the user's, without the options
    that choose points.
    """

    spec: str
    command: str
    choice: Choice = field(default_factory=Choice)
    patience_seconds: float = PATIENCE_SECONDS


@dataclass
class Probing:
    """One probe, whose evidence goes to a folder. `record` is its present result at any time."""

    folder: Path
    wanted: Wanted
    means: Means
    notes: Sequence[str] = ()
    _began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _undisturbed: list[Undisturbed] = field(default_factory=list)
    _baseline: Baseline | None = None
    _found: Sequence[Disturbance] = ()
    _chosen: Sequence[Disturbance] = ()
    _cells: dict[str, Cell] = field(default_factory=dict)
    _ended: str = "it was interrupted."

    async def run(self) -> None:
        """Try all chosen points. Raises NoBaselineError, and what its processes raise; ChildError
        where it loses all of its workers.
        """
        (self.folder / RUNS).mkdir()
        async with open_lanes(self.means, self.folder / "stack") as lanes:
            await self._probe(lanes)

    async def _probe(self, lanes: Lanes) -> None:
        count = self.means.most_lanes
        started = [lanes.make(number) for number in range(1, min(UNDISTURBED_RUNS, count) + 1)]
        for lane in started:
            await lane.start()
        self.means.tell("two undisturbed runs show what is normal")
        await self._measure(started)
        left = deque(self._chosen)
        self.means.tell(f"{len(left)} of {len(self._found)} points are tried")

        async def attempt(lane: Lane, planned: Disturbance) -> str:
            found = await self._attempt(lane, planned)
            cell = found.cell
            self._cells[planned.name] = cell
            self._tell(cell)
            if cell.fate is Fate.UNKNOWN and cell.tries < MOST_ATTEMPTS:
                left.append(planned)
            return found.left

        await lanes.work_off(started, left, attempt)
        if left and not self.means.time_is_up:
            self._ended = f"no more workers could be started; {len(left)} points are left."
            raise ChildError(self._ended)
        self._ended = "the time was up." if left else ""

    async def _measure(self, lanes: Sequence[Lane]) -> None:
        """On different workers if there are several, so that they share no state. Raises
        NoBaselineError.
        """
        numbers = range(1, UNDISTURBED_RUNS + 1)
        runs = [self._undisturbed_run(lanes[n % len(lanes)], n) for n in numbers]
        if len(lanes) == 1:
            found = [await run for run in runs]
        else:
            found = list(await asyncio.gather(*runs))
        self._undisturbed = [run.saved for run in found]
        self._baseline = Baseline.of([run.observed for run in found])
        self._found = disturbances([run.points for run in found])
        self._chosen = chosen(self._found, self.wanted.choice)

    async def _undisturbed_run(self, lane: Lane, number: int) -> Normal:
        folder = self.folder / RUNS / f"undisturbed-{number}"
        folder.mkdir()
        return await undisturbed(lane, self.wanted.spec, folder, self.wanted.patience_seconds)

    async def _attempt(self, lane: Lane, planned: Disturbance) -> Attempted:
        """What cannot be carried out has a cell as well."""
        earlier = self._cells.get(planned.name)
        attempt = earlier.tries + 1 if earlier else 1
        folder = self.folder / RUNS / f"{planned.name}-{attempt}"
        folder.mkdir()
        attempts = self._attempts
        try:
            return await attempts.hit(lane, planned, folder, attempt=attempt)
        except TROUBLE as error:
            cell = broken(folder, planned, attempt=attempt, why=str(error))
            return Attempted(attempts.repeatable(cell), cell.workflow_id)

    @property
    def _attempts(self) -> Attempts:
        if self._baseline is None:
            raise RuntimeError("there is no baseline yet.")
        judge = Judge(
            target=self.means.target,
            baseline=self._baseline,
            patience_seconds=self.wanted.patience_seconds,
        )
        return Attempts(self.wanted.spec, self.wanted.command, judge)

    def _tell(self, cell: Cell) -> None:
        """One line for each run."""
        again = "" if cell.tries == 1 else f", attempt {cell.tries}"
        self.means.tell(
            f"{len(self._cells)}/{len(self._chosen)} {cell.action} at {cell.boundary}: "
            f"{cell.fate}{again} ({cell.findings[0].text})"
        )

    def record(self) -> Probe:
        """For the reports."""
        masks = self._baseline.masks if self._baseline else frozenset()
        return Probe(
            workflow=self.wanted.spec,
            command=self.wanted.command,
            began_at=self._began_at,
            seconds=self.means.age_seconds,
            found=len(self._found),
            chosen=len(self._chosen),
            undisturbed=tuple(self._undisturbed),
            masked=tuple(sorted(map(told, masks))),
            notes=tuple(self.notes),
            ended=self._ended,
            cells=tuple(self._cells.values()),
        )

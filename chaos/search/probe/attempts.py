"""One run of a workflow on a lane: undisturbed, or disturbed at a boundary and judged."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from chaos.evidence.case import Evidence
from chaos.evidence.history import Status
from chaos.search.crash.lane import Lane
from chaos.search.crash.lanes import TROUBLE
from chaos.search.crash.points import CrashPoint, Disturbance, crash_points
from chaos.search.probe.judging import Judge
from chaos.search.probe.observed import Observed, observe
from chaos.search.probe.record import Cell, Undisturbed
from chaos.search.probe.waiting import Patience
from chaos.wire.journal import read_wire

UNDISTURBED_RUNS = 2
_UNDISTURBED_PATIENCE = 2
"""An undisturbed workflow may take this many times the patience."""


@dataclass(frozen=True)
class Normal:
    """An undisturbed run, and the points that it came to."""

    observed: Observed
    points: Sequence[CrashPoint]

    @property
    def saved(self) -> Undisturbed:
        """As a probe's record has it."""
        run = self.observed
        return Undisturbed(
            workflow_id=run.workflow_id,
            folder=run.workflow_id,
            status=run.status,
            seconds=run.seconds,
            why=str(run.outcome) if run.status is Status.FAILED else "",
        )


async def undisturbed(lane: Lane, name: str, folder: Path, patience_seconds: float) -> Normal:
    """Run a spec undisturbed. The folder's name is the workflow's id. Raises what `Lane.attempt`
    raises.
    """
    spec = lane.target.specs[name](folder.name)
    patience = Patience(_UNDISTURBED_PATIENCE * patience_seconds, 0.0)
    await lane.attempt(spec, folder, wait=patience.wait)
    evidence = lane.target.load_evidence(folder)
    wire = read_wire(folder)
    points = crash_points(wire, evidence.real_id(spec.workflow_id))
    return Normal(observe(evidence, wire), points)


@dataclass(frozen=True)
class Attempted:
    """The cell of a run, the workflow that it leaves behind, if any, and its evidence, if it could
    be carried out.
    """

    cell: Cell
    left: str
    evidence: Evidence | None = None


@dataclass(frozen=True)
class Attempts:
    """How a spec is tried and judged. `command` repeats the whole probe."""

    spec: str
    command: str
    judge: Judge

    async def hit(
        self,
        lane: Lane,
        planned: Disturbance,
        folder: Path,
        *,
        attempt: int,
        before_judging: Callable[[], None] = lambda: None,
    ) -> Attempted:
        """Disturb a workflow at a boundary, and judge by the files only. The folder's name is the
        workflow's id. Raises what `Lane.attempt` raises.
        """
        began_at, usual_seconds = datetime.now(UTC), self.judge.baseline.seconds
        patience = Patience(self.judge.patience_seconds, usual_seconds)
        spec = lane.target.specs[self.spec](folder.name)
        await lane.attempt(spec, folder, planned, usual_seconds=usual_seconds, wait=patience.wait)
        before_judging()
        found = await asyncio.to_thread(
            self.judge.cell, folder, planned, attempt=attempt, began_at=began_at
        )
        left = await _left_behind(lane, folder.name)
        return Attempted(self.repeatable(found.cell), left, found.evidence)

    def repeatable(self, cell: Cell) -> Cell:
        """With the command that repeats it alone."""
        at = shlex.quote(str(cell.boundary))
        command = f"{self.command} --at {at} --action {cell.action}"
        return cell.model_copy(update={"command": command})


async def _left_behind(lane: Lane, workflow_id: str) -> str:
    """What is not known to have ended: that a server is away later on changes no cell."""
    with suppress(*TROUBLE):
        if await lane.lab.has_ended(workflow_id):
            return ""
    return workflow_id

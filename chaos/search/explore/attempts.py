"""One run of a workflow on a lane: fault-free, or hit at a crash point and judged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from chaos.evidence.history import Status
from chaos.search.crash.lane import Lane
from chaos.search.crash.points import PlanError
from chaos.search.explore.judging import Judged, judge_attempt
from chaos.search.explore.plan import PlannedHit, Reference
from chaos.search.explore.state import Attempt
from chaos.wire.journal import read_wire

REFERENCE_ATTEMPTS = 3


async def reference(lane: Lane, spec: str, folder_of: Callable[[int], Path]) -> Reference:
    """Run a workflow undisturbed, and derive points from it. On a busy machine the first run may be
    disturbed all the same. `folder_of` makes a folder for each run by its number; its name is the
    workflow's id.

    Raises PlanError, and what `Lane.attempt` raises.
    """
    for number in range(1, REFERENCE_ATTEMPTS):
        with suppress(PlanError):
            return await _fault_free(lane, spec, folder_of(number))
    return await _fault_free(lane, spec, folder_of(REFERENCE_ATTEMPTS))


async def _fault_free(lane: Lane, name: str, folder: Path) -> Reference:
    spec = lane.target.specs[name](folder.name)
    await lane.attempt(spec, folder)
    workflow = lane.target.load_evidence(folder).workflows[spec.workflow_id]
    return Reference.of(name, workflow, read_wire(folder))


async def hit(
    lane: Lane,
    planned: PlannedHit,
    folder: Path,
    *,
    before_judging: Callable[[], None] = lambda: None,
) -> Judged:
    """Hit a workflow at a crash point, and judge the outcome by the files only. The folder's name
    is the workflow's id.

    Raises what `Lane.attempt` raises.
    """
    began_at = datetime.now(UTC)
    spec = lane.target.specs[planned.spec](folder.name)
    await lane.attempt(spec, folder, planned, usual_seconds=planned.seconds)
    ended_at = datetime.now(UTC)
    before_judging()
    return await asyncio.to_thread(judge_attempt, folder, lane.target, planned, began_at, ended_at)


def left_behind(attempt: Attempt) -> str:
    """The workflow that the lane has to give up before it can go on; empty if there is none."""
    is_open = attempt.status is Status.RUNNING or not attempt.is_carried_out
    return attempt.workflow_id if is_open else ""

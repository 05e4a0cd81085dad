"""The cases that have a stack of their own: a schedule, a scenario's case, and a shrinking."""

from __future__ import annotations

import asyncio
from pathlib import Path

from chaos.environment.temporal import Topology
from chaos.experiment.runner import missing_here
from chaos.invariants.verdict import Verdict
from chaos.search.campaign.drawing import read_stored
from chaos.search.campaign.found import ElsewhereError, Found, Say
from chaos.search.campaign.machine import Machine
from chaos.search.campaign.model import Campaign, CaseKind, CaseRef
from chaos.search.campaign.outcome import found_of, telling
from chaos.search.campaign.scenarios import scenario_case
from chaos.search.campaign.shrinking import run_shrinking
from chaos.search.campaign.store import Store
from chaos.search.seeded import seeded


async def run_case(  # noqa: PLR0913, PLR0917 - a case needs all of them, as `run_point` does
    campaign: Campaign, ref: CaseRef, machine: Machine, store: Store, folder: Path, say: Say
) -> Found:
    """Carry it out, and judge it by what it leaves in the folder. Raises StoreError, and
    ScheduleError or CatalogueError where the target has no such case, or a schedule would execute
    a command; ElsewhereError where only this machine cannot carry it out.
    """
    if ref.kind is CaseKind.SHRINK:
        return await run_shrinking(ref, machine, store, folder, say)
    if ref.kind is CaseKind.SCHEDULE:
        schedule = await asyncio.to_thread(read_stored, store, ref.name)
        scenario = seeded([schedule], machine.target)
    else:
        scenario = scenario_case(campaign, ref.name, machine.project)
        if missing := missing_here(scenario.cases[0], Topology.DEV):
            if scenario.cases[0].target.has_workers_already:
                return Found(Verdict.UNKNOWN, f"it cannot run in a campaign: {missing}")
            raise ElsewhereError(f"it cannot run on {machine.name}: {missing}")
    result = await machine.run(scenario, folder, telling(say))
    return await asyncio.to_thread(found_of, result.cases[0], scenario, folder)

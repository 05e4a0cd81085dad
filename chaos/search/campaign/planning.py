"""Makes the plan of a campaign of points: undisturbed runs on this machine's lanes."""

from __future__ import annotations

import asyncio
import json
import secrets
from functools import partial
from pathlib import Path

from chaos.evidence.history import Status
from chaos.search.campaign.found import Say
from chaos.search.campaign.machine import Machine
from chaos.search.campaign.model import Explore, Probe, Stage
from chaos.search.campaign.plans import PlannedExplore, PlannedProbe
from chaos.search.crash.points import Action, PlanError
from chaos.search.explore import attempts as exploring
from chaos.search.explore.plan import Choice, Plan
from chaos.search.probe import attempts as probing
from chaos.search.probe.measured import Measured
from chaos.search.probe.plan import Choice as Chosen
from chaos.wire.boundary import Boundary, BoundaryError


async def made(
    work: Explore | Probe, machine: Machine, folder: Path, say: Say
) -> PlannedExplore | PlannedProbe:
    """Run its workflows without a fault; their evidence goes to the folder.

    Raises PlanError and NoBaselineError where none can be made of this target, and the errors of a
    lane.
    """
    wanted = set(work.specs if isinstance(work, Explore) else [work.spec])
    if not wanted or wanted - set(machine.target.specs):
        known = ", ".join(machine.target.specs) or "none"
        raise PlanError(f"a campaign's workflows must be among the target's specs: {known}.")
    if isinstance(work, Explore):
        return PlannedExplore(plan=await _explore_plan(work, machine, folder, say))
    return PlannedProbe(plan=await _probe_plan(work, machine, folder, say))


async def _explore_plan(work: Explore, machine: Machine, folder: Path, say: Say) -> Plan:
    choice = Choice(
        specs=work.specs, sample=work.sample, seed=work.seed, action=_action(work.action)
    )
    say(Stage.STARTING)
    references = []
    for spec in work.specs:
        async with machine.lane() as held:
            say(Stage.RUNNING)
            folder_of = partial(new_folder, folder, f"{spec}-fault-free")
            references.append(await exploring.reference(held.lane, spec, folder_of))
    return Plan.of(choice, references)


async def _probe_plan(work: Probe, machine: Machine, folder: Path, say: Say) -> Measured:
    """On different workers if there are several, so that they share no state."""
    try:
        at = tuple(map(Boundary.parse, work.at))
    except BoundaryError as error:
        raise PlanError(str(error)) from None
    choice = Chosen(at=at, actions=tuple(map(_action, work.actions)), sample=work.sample)

    async def undisturbed(number: int) -> probing.Normal:
        async with machine.lane() as held:
            say(Stage.RUNNING)
            own = new_folder(folder, "undisturbed", number)
            run = await probing.undisturbed(held.lane, work.spec, own, work.patience_seconds)
            held.left = own.name if run.observed.status is Status.RUNNING else ""
            return run

    say(Stage.STARTING)
    try:
        async with asyncio.TaskGroup() as group:
            numbers = range(1, probing.UNDISTURBED_RUNS + 1)
            runs = [group.create_task(undisturbed(number)) for number in numbers]
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    return Measured.of([run.result() for run in runs], choice)


def _action(text: str) -> Action:
    try:
        return Action(text)
    except ValueError:
        known = ", ".join(Action)
        raise PlanError(f"{json.dumps(text)} is no action: it is one of {known}.") from None


def new_folder(folder: Path, name: str, number: int) -> Path:
    """Its name is a workflow's id. A case may run twice on one server, if its machine was thought
    to be lost: the id is another then.
    """
    made = folder / f"{name}-{number}-{secrets.token_hex(3)}"
    made.mkdir()
    return made

"""Explore's and probe's points as cases of a campaign: their plan, and one point on a lane."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from chaos.search.campaign import names
from chaos.search.campaign.bundles import keep
from chaos.search.campaign.found import Found, Say
from chaos.search.campaign.machine import Machine
from chaos.search.campaign.model import Campaign, CaseRef, Explore, Probe, Stage
from chaos.search.campaign.planning import made
from chaos.search.campaign.plans import (
    PLANNED,
    PlannedExplore,
    PlannedProbe,
    PointCase,
    cases_of,
)
from chaos.search.campaign.store import Store
from chaos.search.campaign.trying import explored, probed
from chaos.search.crash.points import PlanError
from chaos.search.explore.plan import PlannedHit
from chaos.search.probe import attempts as probing
from chaos.search.probe.judging import Judge
from chaos.search.probe.measured import Measured
from chaos.search.probe.run import PATIENCE_SECONDS


async def plan(
    campaign: Campaign, machine: Machine, store: Store, folder: Path, say: Say
) -> Callable[[], int]:
    """Run the workflows without a fault, unless `plan.json` is there. What is returned writes it,
    with the evidence of these runs, which is in the folder, and says how many cases there are.

    Raises PlanError and NoBaselineError where none can be made of this target, StoreError, and the
    errors of a lane, which another machine may not have; saving it StoreError and BundleError.
    """
    work = _work(campaign)
    if (there := await asyncio.to_thread(store.read, names.THE_PLAN)) is not None:
        return lambda: len(_cases(work, there))
    found = await made(work, machine, folder, say)
    return lambda: len(_cases(work, _save(store, folder, found)))


def _save(store: Store, folder: Path, found: PlannedExplore | PlannedProbe) -> bytes:
    """The evidence first: a plan that is there has all of it. Of two planners the first one's plan
    counts, and is returned.
    """
    bundle, files = keep(store, "", folder)
    whole = found.model_copy(update={"bundle": bundle, "files": files})
    data = whole.model_dump_json(indent=1).encode()
    if store.create(names.THE_PLAN, data):
        return data
    return store.read(names.THE_PLAN) or b""


async def run_point(  # noqa: PLR0913, PLR0917 - all that a case has, as its activity calls it
    campaign: Campaign, ref: CaseRef, machine: Machine, store: Store, folder: Path, say: Say
) -> Found:
    """Try a point until its outcome is certain, or there were enough attempts. Their evidence goes
    below the folder.

    Raises PlanError where the plan has no such case, StoreError, and the errors of a lane, which
    another machine may not have.
    """
    work = _work(campaign)
    data = await asyncio.to_thread(store.read, names.THE_PLAN) or b""
    case = _cases(work, data).get(ref.name)
    if case is None:
        raise PlanError(f"the plan of {campaign.campaign_id} has no case {ref.name}.")
    say(Stage.STARTING)
    if isinstance(case.disturbance, PlannedHit):
        return await explored(case.disturbance, ref.name, machine, folder, say)
    measured = _planned(data).plan
    if not isinstance(measured, Measured) or not isinstance(work, Probe):
        raise PlanError(f"{ref.name} is not of the kind of {campaign.campaign_id}.")
    judge = Judge(machine.target, measured.baseline, work.patience_seconds)
    attempts = probing.Attempts(work.spec, command_of(campaign, work), judge)
    return await probed(attempts, case, machine, folder, say)


def command_of(campaign: Campaign, work: Probe) -> str:
    """The command that repeats a probe on one machine."""
    words = ["temporal-chaos", "probe", "--target", campaign.target, "--spec", work.spec]
    if work.patience_seconds != PATIENCE_SECONDS:
        words += ["--patience", f"{work.patience_seconds:g}"]
    return shlex.join(words)


def _work(campaign: Campaign) -> Explore | Probe:
    if isinstance(campaign.work, Explore | Probe):
        return campaign.work
    raise PlanError(f"{campaign.campaign_id} has no points: it is of kind {campaign.work.kind}.")


@lru_cache(maxsize=4)
def _planned(data: bytes) -> PlannedExplore | PlannedProbe:
    try:
        return PLANNED.validate_json(data)
    except ValidationError:
        raise PlanError(
            f"{names.THE_PLAN} is missing, damaged, or of another version: start the campaign anew."
        ) from None


@lru_cache(maxsize=4)
def _cases(work: Explore | Probe, data: bytes) -> Mapping[str, PointCase]:
    """By name. A plan is written once, so many cases are of the same one."""
    return {each.ref.name: each for each in cases_of(work, _planned(data))}

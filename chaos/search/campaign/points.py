"""Explore's and probe's points as cases of a campaign: their plan, and one point on a lane."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from pydantic import TypeAdapter

from chaos.invariants.verdict import Verdict
from chaos.search.campaign import names
from chaos.search.campaign.found import Found, Say
from chaos.search.campaign.machine import Machine
from chaos.search.campaign.model import Campaign, CaseRef, Explore, Probe, Stage
from chaos.search.campaign.planning import made, new_folder
from chaos.search.campaign.plans import (
    PLANNED,
    PlannedExplore,
    PlannedProbe,
    PointCase,
    cases_of,
)
from chaos.search.campaign.store import Store
from chaos.search.crash.points import PlanError
from chaos.search.explore import attempts as exploring
from chaos.search.explore.plan import PlannedHit
from chaos.search.explore.state import Attempt, Outcome
from chaos.search.probe import attempts as probing
from chaos.search.probe.judging import Judge
from chaos.search.probe.measured import Measured
from chaos.search.probe.record import Cell, Fate
from chaos.search.probe.run import MOST_ATTEMPTS, PATIENCE_SECONDS

ATTEMPTS: TypeAdapter[tuple[Attempt, ...]] = TypeAdapter(tuple[Attempt, ...])
"""What was found of a crash point."""


async def plan(campaign: Campaign, machine: Machine, store: Store, folder: Path, say: Say) -> int:
    """Run the workflows without a fault, and write `plan.json`, unless it is there; how many cases
    there are. The evidence of these runs goes to the folder, and from there to the store.

    Raises PlanError and NoBaselineError where none can be made of this target, StoreError, and the
    errors of a lane, which another machine may not have.
    """
    work = _work(campaign)
    if (there := await asyncio.to_thread(store.read, names.THE_PLAN)) is None:
        found = await made(work, machine, folder, say)
        say(Stage.SAVING)
        data = found.model_dump_json(indent=1).encode()
        is_ours = await asyncio.to_thread(store.create, names.THE_PLAN, data)
        there = data if is_ours else await asyncio.to_thread(store.read, names.THE_PLAN)
    return len(_cases(work, there or b""))


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
        return await _explored(case.disturbance, ref, machine, folder, say)
    measured = _planned(data).plan
    if not isinstance(measured, Measured) or not isinstance(work, Probe):
        raise PlanError(f"{ref.name} is not of the kind of {campaign.campaign_id}.")
    judge = Judge(machine.target, measured.baseline, work.patience_seconds)
    attempts = probing.Attempts(work.spec, command_of(campaign, work), judge)
    return await _probed(attempts, case, machine, folder, say)


async def _explored(
    planned: PlannedHit, ref: CaseRef, machine: Machine, folder: Path, say: Say
) -> Found:
    outcome = Outcome(planned, ())
    async with machine.lane() as held:
        while not outcome.is_done:
            if held.left:
                await held.lane.give_up(held.left)
            say(Stage.RUNNING)
            own = new_folder(folder, f"{ref.name}-try", len(outcome.attempts) + 1)
            judged = await exploring.hit(
                held.lane, planned, own, before_judging=lambda: say(Stage.JUDGING)
            )
            outcome = Outcome(planned, (*outcome.attempts, judged.attempt))
            held.left = exploring.left_behind(judged.attempt)
    why = _why(outcome)
    return Found(
        verdict=outcome.verdict,
        reason=why,
        broke=why if outcome.verdict is Verdict.FAILED else "",
        cells=tuple(f"{planned.action} at {each}" for each in outcome.proven),
        found=ATTEMPTS.dump_json(tuple(outcome.attempts)).decode(),
    )


def _why(outcome: Outcome) -> str:
    if outcome.verdict is Verdict.PASSED:
        return ""
    return outcome.bad.reason if outcome.bad else f"not proven: {', '.join(outcome.missing)}"


async def _probed(
    attempts: probing.Attempts, case: PointCase, machine: Machine, folder: Path, say: Say
) -> Found:
    planned = case.disturbance
    async with machine.lane() as held:
        for number in range(1, MOST_ATTEMPTS + 1):
            if held.left:
                await held.lane.give_up(held.left)
            say(Stage.RUNNING)
            tried = await attempts.hit(
                held.lane,
                planned,
                new_folder(folder, case.ref.name, number),
                attempt=number,
                before_judging=lambda: say(Stage.JUDGING),
            )
            held.left = tried.left
            if tried.cell.fate is not Fate.UNKNOWN:
                break
    return _found_of(tried.cell)


def _found_of(cell: Cell) -> Found:
    """A fate that is not bad is a pass, as for the probe itself."""
    bad = [f"{each.fate}: {each.text}" for each in cell.findings if each.fate.is_bad]
    is_hit = all(each.fate is not Fate.UNKNOWN for each in cell.findings)
    passed = Verdict.PASSED if is_hit else Verdict.UNKNOWN
    where = [cell.boundary, *cell.also] if is_hit else []
    return Found(
        verdict=Verdict.FAILED if bad else passed,
        reason="; ".join(f"{each.fate}: {each.text}" for each in cell.findings),
        broke="; ".join(bad),
        cells=tuple(f"{cell.action} at {each}" for each in where),
        found=cell.model_dump_json(),
    )


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
    return PLANNED.validate_json(data)


@lru_cache(maxsize=4)
def _cases(work: Explore | Probe, data: bytes) -> Mapping[str, PointCase]:
    """By name. A plan is written once, so many cases are of the same one."""
    return {each.ref.name: each for each in cases_of(work, _planned(data))}

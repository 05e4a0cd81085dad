"""A failure of a campaign is shrunk in the campaign, as a case of its own.

What each step found out is in the store before the next one begins: where the machine is lost, the
next one goes on from there.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from chaos.experiment.results import CaseResult
from chaos.invariants.verdict import Verdict
from chaos.search.campaign import names
from chaos.search.campaign.broke import broke_of, parts_of
from chaos.search.campaign.drawing import data_of, read_stored
from chaos.search.campaign.found import Found, Say
from chaos.search.campaign.keep import read_record
from chaos.search.campaign.machine import Machine
from chaos.search.campaign.model import CaseRef
from chaos.search.campaign.outcome import found_of, telling
from chaos.search.campaign.store import DamagedError, Store
from chaos.search.campaign.turns import SHRINK
from chaos.search.schedule import Schedule
from chaos.search.seeded import AT_ONCE, seeded
from chaos.search.shrink import Shrinking, numbered

MOST_RUNS = 40
"""As many as those of the command `shrink`."""


class _Step(BaseModel):
    """What running the candidates of a step has shown. `of` is the hash of the candidates."""

    model_config = ConfigDict(frozen=True)

    of: str
    fails: tuple[bool, ...]


async def run_shrinking(
    ref: CaseRef, machine: Machine, store: Store, folder: Path, say: Say
) -> Found:
    """Shrink the failure that the case is named by, and run the result once more: that run's
    evidence is the case's, and its verdict. Raises StoreError, ScheduleError.
    """
    origin = ref.name.removeprefix(SHRINK)
    schedule = await asyncio.to_thread(read_stored, store, origin)
    broke = await asyncio.to_thread(_broke, store, origin)
    case = _Case(ref, machine, store, folder, say, broke)
    search = Shrinking(most_runs=MOST_RUNS, at_once=AT_ONCE)
    shrunk = await case.search(search, schedule)
    shrunk = shrunk.model_copy(update={"part": schedule.part})
    scenario = seeded([shrunk], machine.target)
    result = await machine.run(scenario, folder, telling(say))
    found = await asyncio.to_thread(found_of, result.cases[0], scenario, folder)
    fails_so = bool(parts_of(found.broke) & parts_of(broke))
    if fails_so:
        await asyncio.to_thread(store.create, names.failure(broke), data_of(shrunk))
    became = (
        f"{len(schedule.faults)} fault(s) and {len(schedule.starts)} workflow(s) of {origin} "
        f"became {len(shrunk.faults)} and {len(shrunk.starts)} in {search.tried} runs"
    )
    return Found(
        verdict=Verdict.FAILED if fails_so else Verdict.UNKNOWN,
        reason=f"{became}: {found.reason}" if fails_so else f"{became}, and did not fail again",
        broke=broke if fails_so else "",
        found=shrunk.model_dump_json(by_alias=True),
    )


def _broke(store: Store, case: str) -> str:
    """What a case has shown. Raises StoreError."""
    found = read_record(store, case)
    if found is None:
        raise DamagedError(f"{names.verdict(case)} is missing: has somebody removed it?")
    return found.judged.broke


@dataclass
class _Case:
    ref: CaseRef
    machine: Machine
    store: Store
    folder: Path
    say: Say
    broke: str

    async def search(self, search: Shrinking, schedule: Schedule) -> Schedule:
        """The search, with what earlier attempts of the case have found out."""
        steps, number = search.steps(schedule), 1
        try:
            candidates = next(steps)
            while True:
                fails = await self._step(number, candidates)
                candidates, number = steps.send(fails), number + 1
        except StopIteration as done:
            found: Schedule = done.value
            return found

    async def _step(self, number: int, candidates: Sequence[Schedule]) -> Sequence[bool]:
        """On record before anything follows from it. If two machines are at it, the first one's
        answer counts for both.
        """
        name = names.progress(self.ref.name, number)
        of = hashlib.sha256(b"\n".join(map(data_of, candidates))).hexdigest()
        kept = await asyncio.to_thread(self.store.read, name)
        if kept is None:
            step = _Step(of=of, fails=tuple(await self._run(number, candidates)))
            await asyncio.to_thread(self.store.create, name, step.model_dump_json().encode())
            kept = await asyncio.to_thread(self.store.read, name)
        with suppress(ValidationError):
            step = _Step.model_validate_json(kept or b"")
            if (step.of, len(step.fails)) == (of, len(candidates)):
                return step.fails
        raise DamagedError(f"{name} is not of this search: start the campaign anew.")

    async def _run(self, number: int, candidates: Sequence[Schedule]) -> Sequence[bool]:
        folder = self.folder / f"step-{number}"
        folder.mkdir()
        scenario = seeded(numbered(candidates), self.machine.target)
        try:
            result = await self.machine.run(scenario, folder, telling(self.say))
        finally:
            await asyncio.to_thread(shutil.rmtree, folder)
        return [self._fails_so(case) for case in result.cases]

    def _fails_so(self, case: CaseResult) -> bool:
        found = broke_of(case.checks, (each.workflow_id for each in case.workflows))
        return bool(parts_of(found) & parts_of(self.broke))

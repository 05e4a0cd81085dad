"""One point on a lane of this machine, tried until its outcome is certain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from chaos.evidence.case import Evidence
from chaos.experiment.coverage import case_coverage
from chaos.invariants.verdict import Finding, Verdict
from chaos.search.campaign.broke import broke_of
from chaos.search.campaign.found import Found, Say
from chaos.search.campaign.machine import Machine
from chaos.search.campaign.model import Stage
from chaos.search.campaign.novelty import cells_of, shapes_of
from chaos.search.campaign.planning import new_folder
from chaos.search.campaign.plans import PointCase, covered
from chaos.search.explore import attempts as exploring
from chaos.search.explore.plan import PlannedHit
from chaos.search.explore.state import Attempt, Outcome
from chaos.search.probe import attempts as probing
from chaos.search.probe.record import Cell, Fate
from chaos.search.probe.run import MOST_ATTEMPTS

ATTEMPTS: TypeAdapter[tuple[Attempt, ...]] = TypeAdapter(tuple[Attempt, ...])
"""`CaseRecord.found` of a crash point; that of a probed one is its `Cell`."""


async def explored(
    planned: PlannedHit, name: str, machine: Machine, folder: Path, say: Say
) -> Found:
    """Hit a crash point as often as `explore` does. Raises the errors of a lane."""
    outcome, seen = Outcome(planned, ()), _Seen()
    async with machine.lane() as held:
        while not outcome.is_done:
            if held.left:
                await held.lane.give_up(held.left)
            say(Stage.RUNNING)
            own = new_folder(folder, f"{name}-try", len(outcome.attempts) + 1)
            judged = await exploring.hit(
                held.lane, planned, own, before_judging=lambda: say(Stage.JUDGING)
            )
            outcome = Outcome(planned, (*outcome.attempts, judged.attempt))
            held.left = exploring.left_behind(judged.attempt)
            seen = await asyncio.to_thread(seen.also, judged.evidence)
    return Found(
        verdict=outcome.verdict,
        reason=_why(outcome),
        broke=broke_of(judged.findings, [judged.attempt.workflow_id]),
        cells=(*covered(planned.action, outcome.proven), *seen.cells),
        shapes=seen.shapes,
        found=ATTEMPTS.dump_json(tuple(outcome.attempts)).decode(),
    )


def _why(outcome: Outcome) -> str:
    if outcome.verdict is Verdict.PASSED:
        return ""
    return outcome.bad.reason if outcome.bad else f"not proven: {', '.join(outcome.missing)}"


async def probed(
    attempts: probing.Attempts, case: PointCase, machine: Machine, folder: Path, say: Say
) -> Found:
    """Disturb a workflow at a point as often as `probe` does. Raises the errors of a lane."""
    seen = _Seen()
    async with machine.lane() as held:
        for number in range(1, MOST_ATTEMPTS + 1):
            if held.left:
                await held.lane.give_up(held.left)
            say(Stage.RUNNING)
            tried = await attempts.hit(
                held.lane,
                case.disturbance,
                new_folder(folder, case.ref.name, number),
                attempt=number,
                before_judging=lambda: say(Stage.JUDGING),
            )
            held.left = tried.left
            seen = await asyncio.to_thread(seen.also, tried.evidence)
            if tried.cell.fate is not Fate.UNKNOWN:
                break
    found = found_of(tried.cell)
    return replace(found, cells=(*found.cells, *seen.cells), shapes=seen.shapes)


def found_of(cell: Cell) -> Found:
    """A fate that is not bad is a pass, as for the probe itself."""
    bad = [each for each in cell.findings if each.fate.is_bad]
    is_hit = all(each.fate is not Fate.UNKNOWN for each in cell.findings)
    passed = Verdict.PASSED if is_hit else Verdict.UNKNOWN
    where = map(str, (cell.boundary, *cell.also)) if is_hit else ()
    failed = (Finding(str(each.fate), Verdict.FAILED, (each.text,)) for each in bad)
    return Found(
        verdict=Verdict.FAILED if bad else passed,
        reason="; ".join(f"{each.fate}: {each.text}" for each in cell.findings),
        broke=broke_of(failed, [cell.workflow_id]),
        cells=covered(cell.action, where),
        found=cell.model_dump_json(),
    )


@dataclass(frozen=True)
class _Seen:
    """What attempts have covered, for the search; no verdict rests on it."""

    cells: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()

    def also(self, evidence: Evidence | None) -> _Seen:
        """With those of another attempt."""
        if evidence is None:
            return self
        try:
            cells, shapes = cells_of(case_coverage(evidence)), shapes_of(evidence.all_workflows)
        except Exception:  # noqa: BLE001 - damage has many forms; the verdict says what it is worth
            return self
        return _Seen(_each_once(self.cells, cells), _each_once(self.shapes, shapes))


def _each_once(*parts: Sequence[str]) -> tuple[str, ...]:
    every: Iterable[str] = (each for part in parts for each in part)
    return tuple(dict.fromkeys(every))

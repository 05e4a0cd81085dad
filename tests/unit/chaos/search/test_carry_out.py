"""A schedule is over when its workflows are, whatever its faults still wait for."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from chaos.evidence.spec import WorkflowSpec
from chaos.faults import AtBoundary
from chaos.search.carry_out import experiment_of
from chaos.search.schedule import Planned, PlannedStart, Schedule
from chaos.wire.boundary import Boundary
from tests.unit.chaos.search.guest import PLAIN

NEVER = AtBoundary(boundary=Boundary.parse("call * answered 7"), action="drop")
SCHEDULE = Schedule(
    seed=1,
    families=("wire",),
    duration_seconds=5,
    workers=1,
    starts=(PlannedStart(workflow_id="load-001", spec="order", at_seconds=0),),
    faults=(Planned(at_seconds=0, lasting_seconds=0, fault=NEVER),),
)


class Lab:
    """Stands for one on whose wire no call ever comes to a boundary."""

    def __init__(self) -> None:
        self.stack = SimpleNamespace(target=PLAIN)
        self.client = None
        self.did: list[str] = []

    async def supervisor(self, workers: int, **_: Any) -> Any:
        del workers
        return self

    async def until_complete(self, _: object) -> None:
        self.did.append("complete")

    async def begin(self, _: object) -> None:
        self.did.append("waits")
        await asyncio.Event().wait()

    async def end(self, _: object) -> None:
        self.did.append("healed")

    async def start(self, spec: WorkflowSpec) -> None:
        self.did.append(f"{spec.workflow_id} starts")

    async def converge(self, _: float) -> None:
        self.did.append("all have ended")

    def note(self, text: str) -> None:
        del text


async def test_when_all_workflows_have_ended_no_fault_waits_for_a_call_any_more() -> None:
    lab = Lab()
    async with asyncio.timeout(10):
        await experiment_of(SCHEDULE)(lab)  # type: ignore[arg-type]  # it has all that is used

    assert set(lab.did[:2]) == {"waits", "load-001 starts"}
    assert lab.did[2:] == ["all have ended", "healed", "complete"]

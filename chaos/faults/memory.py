"""A worker runs out of memory."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import psutil
from pydantic import Field, PrivateAttr

from chaos.environment.memory import Limit, limit_memory
from chaos.evidence.journal import Event
from chaos.experiment.lab import Lab
from chaos.faults.base import Family, Fault
from chaos.process.reaper import MARK


class OutOfMemory(Fault):
    """One of the first fleet's workers, at a `place` from 0, may take only `more_bytes` from now
    on. What then ends it is the kernel's OOM killer wherever that is to be had; the journal says
    whether it was. Its successor is not limited.
    """

    family: ClassVar[Family] = Family.KILL

    type: Literal["out_of_memory"] = "out_of_memory"
    place: int = Field(ge=0)
    more_bytes: int = Field(gt=0)
    _pid: int | None = PrivateAttr(default=None)
    _limit: Limit | None = PrivateAttr(default=None)

    @property
    def kind(self) -> str:
        """As the journal has it."""
        return "out_of_memory"

    @property
    def target(self) -> str:
        """The workers of the fleet have no names of their own."""
        return "fleet-1-worker"

    async def inject(self, lab: Lab) -> None:
        """Put the limit in force; it strikes when the worker wants more."""
        fleet = lab.stack.supervisors[0]
        process = psutil.Process(fleet.pids[self.place % len(fleet.pids)])
        self._pid = process.pid
        fleet.watch(process)
        run = Path(fleet.child.environment[MARK])
        self._limit = limit_memory(process, self.more_bytes, run)
        lab.note(f"pid {process.pid} may take {self.more_bytes} bytes more ({self._limit.kind})")

    async def heal(self, lab: Lab) -> None:
        """Say what the limit has done, and lift it."""
        if self._limit is None:
            return
        seen = self._limit.killed()
        if seen and self._pid:
            await lab.stack.supervisors[0].until_gone([self._pid])
            lab.journal.add(
                Event.STAGE, seen, kind=self._limit.kind, target=self.target, pid=self._pid
            )
        self._limit.lift()

"""A worker runs out of memory."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import psutil
from pydantic import Field, PrivateAttr

from chaos.environment.memory import Limit, limit_memory
from chaos.evidence.journal import Event
from chaos.experiment.lab import Lab
from chaos.faults.process import OnWorker


class OutOfMemory(OnWorker):
    """A worker may take only `more_bytes` more. Where possible the kernel's OOM killer then kills
    it; the journal says whether it did. Its successor is not limited.
    """

    type: Literal["out_of_memory"] = "out_of_memory"
    more_bytes: int = Field(gt=0)
    _limit: Limit | None = PrivateAttr(default=None)

    @property
    def kind(self) -> str:
        """Its name in the journal."""
        return "out_of_memory"

    async def inject(self, lab: Lab) -> None:
        """Set the limit; the worker is killed when it needs more."""
        process = psutil.Process(await self._found(lab))
        self._watch(lab)
        run = Path(lab.stack.placement.run_tag)
        self._limit = limit_memory(process, self.more_bytes, run)
        lab.note(f"pid {process.pid} may take {self.more_bytes} bytes more ({self._limit.kind})")

    async def heal(self, lab: Lab) -> None:
        """Record what the limit has done, and remove it."""
        if self._limit is None:
            return
        seen = self._limit.killed()
        if seen and self._pid:
            await self._until_gone(lab)
            lab.journal.add(
                Event.STAGE, seen, kind=self._limit.kind, target=self.target, pid=self._pid
            )
        self._limit.lift()

"""A worker process is killed or put to sleep: one of a fleet, or one that stands alone."""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import ClassVar, Literal

import psutil
from pydantic import Field, PrivateAttr

from chaos.experiment.lab import Lab
from chaos.faults.base import Family, Fault
from chaos.process.child import Child
from chaos.process.waiting import wait_until

EFFECT_DEADLINE_SECONDS = 10.0


class _OnWorker(Fault):
    """A fault of one of the first fleet's workers, at a `place` from 0, modulo how many there are.

    A fleet that is replacing all of them has none for a moment, and then this waits for one.
    """

    family: ClassVar[Family] = Family.KILL

    place: int = Field(ge=0)
    _pid: int | None = PrivateAttr(default=None)

    @property
    def target(self) -> str:
        """The workers of the fleet have no names of their own."""
        return "fleet-1-worker"

    async def _send(self, lab: Lab, number: signal.Signals) -> psutil.Process:
        fleet = lab.stack.supervisors[0]
        await wait_until(
            lambda: bool(fleet.pids),
            what=f"{fleet.child.name} has a worker",
            deadline_seconds=EFFECT_DEADLINE_SECONDS,
        )
        pids = fleet.pids
        pid = self._pid = pids[self.place % len(pids)]
        process = psutil.Process(pid)
        fleet.signal(pid, number)
        return process


class KillWorker(_OnWorker):
    """SIGKILL; the fleet replaces it."""

    type: Literal["kill_worker"] = "kill_worker"

    @property
    def kind(self) -> str:
        """As the journal has it."""
        return "kill"

    async def inject(self, lab: Lab) -> None:
        """Kill it and see it gone."""
        process = await self._send(lab, signal.SIGKILL)
        await lab.stack.supervisors[0].until_gone([process.pid])


class PauseWorker(_OnWorker):
    """SIGSTOP, and SIGCONT when it is healed; a fleet kills and replaces a worker that sleeps."""

    type: Literal["pause_worker"] = "pause_worker"

    @property
    def kind(self) -> str:
        """As the journal has it."""
        return "pause"

    async def inject(self, lab: Lab) -> None:
        """Put it to sleep."""
        await self._send(lab, signal.SIGSTOP)

    async def heal(self, lab: Lab) -> None:
        """Wake it up, unless its fleet has replaced it."""
        if self._pid and self._pid in lab.stack.supervisors[0].pids:
            with suppress(psutil.NoSuchProcess):
                lab.stack.supervisors[0].signal(self._pid, signal.SIGCONT)


class SleepWorker(Fault):
    """SIGSTOP of a worker without a fleet, counted from 1, and SIGCONT when it is healed."""

    family: ClassVar[Family] = Family.KILL

    type: Literal["sleep_worker"] = "sleep_worker"
    worker: int = Field(ge=1)

    @property
    def kind(self) -> str:
        """As the journal has it."""
        return "pause"

    @property
    def target(self) -> str:
        """The worker's name."""
        return f"worker-{self.worker}"

    async def inject(self, lab: Lab) -> None:
        """Put it to sleep and see that it sleeps."""
        child = self._child(lab)
        child.pause()
        process = psutil.Process(child.pid)
        await wait_until(
            lambda: process.status() == psutil.STATUS_STOPPED,
            what=f"{child.name} sleeps",
            deadline_seconds=EFFECT_DEADLINE_SECONDS,
        )

    async def heal(self, lab: Lab) -> None:
        """Wake it up, unless it is gone."""
        child = self._child(lab)
        if child.is_alive:
            child.resume()

    def _child(self, lab: Lab) -> Child:
        return lab.stack.workers[self.worker - 1].child

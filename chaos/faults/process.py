"""A worker process is killed or paused."""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import ClassVar, Literal, Self

import psutil
from pydantic import Field, PrivateAttr, model_validator

from chaos.environment.keeper import WorkerKeeper
from chaos.environment.stack import NotHereError
from chaos.environment.supervisor import Supervisor
from chaos.environment.versions import GRACE_SECONDS
from chaos.experiment.lab import Lab
from chaos.faults.base import Family, Fault
from chaos.process.child import Child, ChildError
from chaos.process.waiting import DeadlineExceededError, wait_until

EFFECT_DEADLINE_SECONDS = 10.0


class OnWorker(Fault):
    """A fault of one worker: by its name, such as `worker-1`; or, of a target's own supervisor,
    whose workers have no names, by its position from 0, modulo their number. While all are being
    replaced there is none, and this waits for one.
    """

    family: ClassVar[Family] = Family.KILL

    place: int | None = Field(default=None, ge=0)
    worker: str | None = None
    _pid: int | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if (self.place is None) is (self.worker is None):
            raise ValueError("name either the worker or its place")
        return self

    @property
    def target(self) -> str:
        """The workers of a supervisor share a name."""
        return self.worker or "fleet-1-worker"

    async def _found(self, lab: Lab) -> int:
        """Wait until it runs; its pid."""
        await wait_until(
            lambda: bool(self._pids(lab)),
            what=f"{self.target} runs",
            deadline_seconds=EFFECT_DEADLINE_SECONDS,
        )
        pids = self._pids(lab)
        self._pid = pids[(self.place or 0) % len(pids)]
        return self._pid

    def _pids(self, lab: Lab) -> list[int]:
        if not self.worker:
            return list(_supervisor(lab).pids)
        child = self._child(lab)
        return [child.pid] if child.is_alive else []

    def _send(self, lab: Lab, number: signal.Signals) -> None:
        if self.worker:
            self._child(lab).send(number)
        elif self._pid:
            _supervisor(lab).send(self._pid, number)

    def _watch(self, lab: Lab) -> None:
        """Make sure that its end is journaled."""
        if self._pid and not self.worker:
            _supervisor(lab).watch(psutil.Process(self._pid))

    async def _until_gone(self, lab: Lab, seconds: float = EFFECT_DEADLINE_SECONDS) -> None:
        """Wait until its end was seen; by then it may have been started again."""
        if self.worker:
            await wait_until(
                lambda: self._pid not in self._pids(lab),
                what=f"{self.target} has ended",
                deadline_seconds=seconds,
            )
        elif self._pid:
            await _supervisor(lab).until_gone([self._pid])

    def _child(self, lab: Lab) -> Child:
        for worker in lab.stack.workers:
            if worker.child.name == self.worker:
                return worker.child
        raise NotHereError(f"this stack has no {self.worker}.")


def _supervisor(lab: Lab) -> Supervisor:
    first = next(iter(lab.stack.supervisors), None)
    if first is None or isinstance(first, WorkerKeeper):
        raise NotHereError("the target's own supervisor does not run: name the worker instead.")
    return first


class KillWorker(OnWorker):
    """SIGKILL; its supervisor replaces it."""

    type: Literal["kill_worker"] = "kill_worker"

    @property
    def kind(self) -> str:
        """Its name in the journal."""
        return "kill"

    async def inject(self, lab: Lab) -> None:
        """Kill it and wait until it has ended."""
        await self._found(lab)
        self._send(lab, signal.SIGKILL)
        await self._until_gone(lab)


class StopWorker(OnWorker):
    """SIGTERM as a deploy sends it, and SIGKILL after `grace_seconds` where the worker has not
    ended by then; 0: at once. A supervisor replaces it.
    """

    type: Literal["stop_worker"] = "stop_worker"
    grace_seconds: float = Field(default=GRACE_SECONDS, ge=0, allow_inf_nan=False)

    @property
    def kind(self) -> str:
        """Its name in the journal."""
        return "terminate"

    async def inject(self, lab: Lab) -> None:
        """Stop it and wait until it has ended."""
        await self._found(lab)
        self._send(lab, signal.SIGTERM)
        with suppress(DeadlineExceededError):
            if self.grace_seconds:
                await self._until_gone(lab, self.grace_seconds)
        if self._pid in self._pids(lab):
            with suppress(ChildError, psutil.NoSuchProcess):  # it has ended just now
                self._send(lab, signal.SIGKILL)
        await self._until_gone(lab)


class PauseWorker(OnWorker):
    """SIGSTOP, and SIGCONT when it is healed; a target's supervisor may replace it meanwhile."""

    type: Literal["pause_worker"] = "pause_worker"

    @property
    def kind(self) -> str:
        """Its name in the journal."""
        return "pause"

    async def inject(self, lab: Lab) -> None:
        """Pause it and wait until it is paused, unless it was replaced before."""
        process = psutil.Process(await self._found(lab))
        self._send(lab, signal.SIGSTOP)
        await wait_until(
            lambda: _sleeps(process) or process.pid not in self._pids(lab),
            what=f"{self.target} sleeps",
            deadline_seconds=EFFECT_DEADLINE_SECONDS,
        )

    async def heal(self, lab: Lab) -> None:
        """Resume it, unless it is gone."""
        if self._pid in self._pids(lab):
            with suppress(psutil.NoSuchProcess):
                self._send(lab, signal.SIGCONT)


def _sleeps(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() == psutil.STATUS_STOPPED)
    return False

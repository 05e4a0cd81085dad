"""A worker on a task queue of its own, which dies once for each workflow.

What keeps it starts another, so the worker that ends a workflow is the one that the next dooms.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil

from chaos.environment.supervisor import Supervisor
from chaos.evidence.files import write_file
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.lab import Lab
from chaos.process.waiting import DeadlineExceededError, wait_until
from chaos.search.explore.doomed import FOLDER_VARIABLE
from chaos.search.explore.moments import (
    BOOTING,
    IDLE,
    Armed,
    Moment,
    Passed,
    arm,
    hit_file,
    read_hit,
    read_passed,
)

SETTLED_SECONDS = 2.2
"""A supervisor may fill the place of a worker that was ready for a while at once, and let others
wait."""

READY_DEADLINE_SECONDS = 120.0
HIT_DEADLINE_SECONDS = 60.0
END_DEADLINE_SECONDS = 150.0
_ASK_SECONDS = 0.1


@dataclass
class Lane:
    """In its folder the doomed worker, whose command line is `worker`, finds what is armed."""

    lab: Lab
    name: str
    folder: Path
    worker: Sequence[str]
    settings: Mapping[str, str]
    _supervisor: Supervisor | None = None
    _seen: dict[int, float] = field(default_factory=dict)

    @property
    def supervisor(self) -> Supervisor:
        """Once it was started."""
        if self._supervisor is None:
            raise RuntimeError(f"{self.name} was not started.")
        return self._supervisor

    async def start(self) -> None:
        """Have a worker kept and wait until it polls; on a busy machine, `run` waits on."""
        self.folder.mkdir(exist_ok=True)
        with suppress(DeadlineExceededError):
            await self.lab.supervisor(
                1,
                task_queue=self.name,
                argv=self.worker,
                settings={**self.settings, FOLDER_VARIABLE: str(self.folder)},
            )
        stack = self.lab.stack
        queue = stack.own_queue(self.name)
        self._supervisor = [each for each in stack.supervisors if each.task_queue == queue][-1]

    async def restart(self) -> None:
        """Begin anew with another worker."""
        await self.supervisor.discard()
        await self.start()

    def log_ends(self) -> Mapping[Path, int]:
        """Where the logs of its workers end now."""
        return {log: log.stat().st_size for log in self.supervisor.logs if log.exists()}

    def logged_since(self, ends: Mapping[Path, int]) -> bytes:
        """What its workers have said since then."""
        logs = [log for log in self.supervisor.logs if log.exists()]
        return b"".join(log.read_bytes()[ends.get(log, 0) :] for log in logs)

    async def run(self, asked: WorkflowSpec, moment: Moment | None) -> None:
        """Run a workflow until it ends, or should have, and have its worker die at the moment, if
        it comes there. Raises DeadlineExceededError or ChildError where that cannot be carried out.
        """
        pid = await self._is_settled()
        if moment:
            arm(self.folder, Armed(workflow_id=asked.workflow_id, moment=moment))
        if moment in {IDLE, BOOTING}:
            await self._kill_the_idle(asked, pid, has_to_prove=moment == IDLE)
        await self.lab.start(asked, task_queue=self.name)
        if moment:
            await wait_until(
                lambda: self._is_hit_or_over(asked),
                what=f"{asked.workflow_id} is hit",
                deadline_seconds=HIT_DEADLINE_SECONDS,
            )
            await self._end_is_seen(asked)
        # One that does not end is no trouble of ours: its history shows it.
        with suppress(DeadlineExceededError):
            await wait_until(
                lambda: self.lab.has_ended(asked.workflow_id),
                what=f"{asked.workflow_id} ends",
                deadline_seconds=END_DEADLINE_SECONDS,
                interval_seconds=_ASK_SECONDS,
            )
        self._note_readiness(asked)

    async def _is_settled(self) -> int:
        """Wait until the worker polls, and has been ready for so long that it may die; its pid."""
        await wait_until(
            lambda: self.supervisor.is_complete(self.lab.client),
            what=f"the worker of {self.name} polls",
            deadline_seconds=READY_DEADLINE_SECONDS,
            interval_seconds=_ASK_SECONDS,
        )
        (pid,) = self.supervisor.pids
        since = self._seen.setdefault(pid, time.time())
        await wait_until(
            lambda: time.time() - since >= SETTLED_SECONDS,
            what=f"worker {pid} is old enough",
            deadline_seconds=2 * SETTLED_SECONDS,
        )
        return pid

    async def _kill_the_idle(self, asked: WorkflowSpec, pid: int, *, has_to_prove: bool) -> None:
        """Kill the worker from outside, and see it gone; the next one takes a moment to boot."""
        if has_to_prove:
            last = Passed(workflow_id=asked.workflow_id, moment=IDLE, pid=pid, at=datetime.now(UTC))
            hit = hit_file(self.folder, asked.workflow_id)
            write_file(hit, f"{last.model_dump_json()}\n")
        self.supervisor.signal(pid, signal.SIGKILL)
        await self.supervisor.until_gone([pid])

    async def _is_hit_or_over(self, asked: WorkflowSpec) -> bool:
        for pid in self.supervisor.pids:
            with suppress(psutil.NoSuchProcess):
                self.supervisor.watch(psutil.Process(pid))
        if read_hit(self.folder, asked.workflow_id):
            return True
        return await self.lab.has_ended(asked.workflow_id)

    async def _end_is_seen(self, asked: WorkflowSpec) -> None:
        if hit := read_hit(self.folder, asked.workflow_id):
            await self.supervisor.until_gone([hit.pid])

    def _note_readiness(self, asked: WorkflowSpec) -> None:
        """A worker is known to be ready from its first moment on."""
        for line in read_passed(self.folder, asked.workflow_id):
            self._seen.setdefault(line.pid, line.at.timestamp())

"""A fleet of one on a task queue of its own, whose worker dies once for each workflow.

The fleet replaces what it lost, so the worker that ends a workflow is the one that the next dooms.
"""

from __future__ import annotations

import shlex
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from chaos.environment.supervisor import SupervisorProcess
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.lab import Lab
from chaos.process.waiting import DeadlineExceededError, wait_until
from chaos.search.explore.moments import (
    BOOTING,
    FOLDER_VARIABLE,
    IDLE,
    Armed,
    Moment,
    Passed,
    arm,
    hit_file,
    read_hit,
    read_passed,
)

DOOMED = "chaos.search.explore.doomed"
POLL_SECONDS = "0.9"
"""How often a video is asked for: once in vain and once more, for it takes 0.8 s here."""

SETTLED_SECONDS = 2.2
"""A fleet fills the place of a process that was ready for 2 s at once, and lets others wait."""

READY_DEADLINE_SECONDS = 120.0
HIT_DEADLINE_SECONDS = 60.0
END_DEADLINE_SECONDS = 150.0
_ASK_SECONDS = 0.1


@dataclass
class Lane:
    """Its folder is where the doomed worker finds what is armed."""

    lab: Lab
    name: str
    folder: Path
    worker: Sequence[str]
    _fleet: SupervisorProcess | None = None
    _seen: dict[int, float] = field(default_factory=dict)

    @property
    def fleet(self) -> SupervisorProcess:
        """Once it was started."""
        if self._fleet is None:
            raise RuntimeError(f"{self.name} was not started.")
        return self._fleet

    async def start(self) -> None:
        """Start the fleet and wait until its worker polls; on a busy machine, `run` waits on."""
        self.folder.mkdir(exist_ok=True)
        command = shlex.join([sys.executable, "-m", DOOMED, *self.worker])
        stack = self.lab.stack
        with suppress(DeadlineExceededError):
            await stack.start_supervisor(
                1,
                task_queue=self.name,
                arguments=("--command", command),
                settings={FOLDER_VARIABLE: str(self.folder), "VIDEO_POLL_SECONDS": POLL_SECONDS},
            )
        queue = stack.own_queue(self.name)
        self._fleet = [fleet for fleet in stack.supervisors if fleet.task_queue == queue][-1]

    async def restart(self) -> None:
        """Begin anew with another fleet."""
        await self.fleet.discard()
        await self.start()

    def log_size(self) -> int:
        """Where the log of the fleet ends now."""
        return self.fleet.child.log.stat().st_size

    def log_from(self, offset: int) -> bytes:
        """What the fleet has logged since."""
        return self.fleet.child.log.read_bytes()[offset:]

    async def run(self, asked: WorkflowSpec, moment: Moment | None) -> None:
        """Run a workflow until it ends, or should have, and have its worker die at the moment, if
        it comes there. Raises DeadlineExceededError or ChildError where that cannot be carried out.
        """
        await self._is_settled()
        if moment:
            arm(self.folder, Armed(workflow_id=asked.workflow_id, moment=moment))
        if moment in {IDLE, BOOTING}:
            await self._kill_the_idle(asked, has_to_prove=moment == IDLE)
        await self.lab.start(asked, task_queue=self.name)
        if moment:
            await wait_until(
                lambda: self._is_hit_or_over(asked),
                what=f"{asked.workflow_id} is hit",
                deadline_seconds=HIT_DEADLINE_SECONDS,
            )
            await self._loss_is_told(asked)
        # One that does not end is no trouble of ours: its history shows it.
        with suppress(DeadlineExceededError):
            await wait_until(
                lambda: self.lab.has_ended(asked.workflow_id),
                what=f"{asked.workflow_id} ends",
                deadline_seconds=END_DEADLINE_SECONDS,
                interval_seconds=_ASK_SECONDS,
            )
        self._note_readiness(asked)

    async def _is_settled(self) -> None:
        """Wait until the worker polls, and has been ready for so long that it may die."""
        await wait_until(
            lambda: self.fleet.is_complete(self.lab.client),
            what=f"the worker of {self.name} polls",
            deadline_seconds=READY_DEADLINE_SECONDS,
            interval_seconds=_ASK_SECONDS,
        )
        (pid,) = self.fleet.pids
        since = self._seen.setdefault(pid, time.time())
        await wait_until(
            lambda: time.time() - since >= SETTLED_SECONDS,
            what=f"worker {pid} is old enough",
            deadline_seconds=2 * SETTLED_SECONDS,
        )

    async def _kill_the_idle(self, asked: WorkflowSpec, *, has_to_prove: bool) -> None:
        """Kill the worker from outside, and see it gone; the next one takes a second to boot."""
        (pid,) = self.fleet.pids
        if has_to_prove:
            last = Passed(workflow_id=asked.workflow_id, moment=IDLE, pid=pid, at=datetime.now(UTC))
            hit_file(self.folder, asked.workflow_id).write_text(f"{last.model_dump_json()}\n")
        self.fleet.strike(pid, signal.SIGKILL)
        await self._is_lost(pid)

    async def _is_hit_or_over(self, asked: WorkflowSpec) -> bool:
        if read_hit(self.folder, asked.workflow_id):
            return True
        return await self.lab.has_ended(asked.workflow_id)

    async def _loss_is_told(self, asked: WorkflowSpec) -> None:
        if hit := read_hit(self.folder, asked.workflow_id):
            await self._is_lost(hit.pid)

    async def _is_lost(self, pid: int) -> None:
        """Wait until the fleet has said what it did about a death."""
        await wait_until(
            lambda: f"(pid {pid}) is lost".encode() in self.log_from(0),
            what=f"the loss of worker {pid} is told",
            deadline_seconds=HIT_DEADLINE_SECONDS,
        )

    def _note_readiness(self, asked: WorkflowSpec) -> None:
        """A worker is known to be ready from its first moment on."""
        for line in read_passed(self.folder, asked.workflow_id):
            self._seen.setdefault(line.pid, line.at.timestamp())

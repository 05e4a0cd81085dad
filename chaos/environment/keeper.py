"""Keeps the workers of a target that has no supervisor of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import Signals

import psutil
from temporalio.client import Client

from chaos.environment.supervisor import FAULT_KINDS, READY_DEADLINE_SECONDS
from chaos.environment.worker import WorkerProcess
from chaos.evidence.journal import Event
from chaos.process.child import Child, ChildError
from chaos.process.waiting import DeadlineExceededError, wait_until

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 2.0
"""The wait before a worker that ended before it was ready is started again, such as while its
server is down. One that was ready is started again at once.
"""


@dataclass
class WorkerKeeper:
    """Restarts each of its workers, under the same name, when it has died. They are children of the
    harness, `worker-N`, so the journal has their exits. A paused one is left alone. After `discard`
    none is restarted.
    """

    name: str
    kept: Sequence[WorkerProcess]
    client: Client
    _ready: dict[str, int] = field(default_factory=dict, init=False)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list, init=False)

    @property
    def task_queue(self) -> str:
        """The task queue that its workers poll."""
        return self.kept[0].task_queue

    @property
    def clients(self) -> Sequence[str]:
        """The clients of its workers: each has lines of its own."""
        return [worker.child.name for worker in self.kept]

    @property
    def logs(self) -> Sequence[Path]:
        """One of each."""
        return [worker.child.log for worker in self.kept]

    @property
    def pids(self) -> Sequence[int]:
        """The workers that are alive now."""
        return [worker.child.pid for worker in self.kept if worker.child.is_alive]

    async def start(self) -> None:
        """Start all and wait until they are ready; then restart each that dies."""
        await asyncio.gather(*(self._start(worker) for worker in self.kept))
        self._tasks += [asyncio.create_task(self._keep(worker)) for worker in self.kept]

    async def _start(self, worker: WorkerProcess) -> None:
        await worker.start(self.client)
        self._ready[worker.child.name] = worker.child.pid

    async def _keep(self, worker: WorkerProcess) -> None:
        pause_seconds = 0.0
        while True:
            await worker.child.until_ended()
            await asyncio.sleep(pause_seconds)
            try:
                await self._start(worker)
            except (ChildError, DeadlineExceededError, OSError):
                longer = max(FIRST_PAUSE_SECONDS, 2 * pause_seconds)
                pause_seconds = min(LONGEST_PAUSE_SECONDS, longer)
            except Exception as error:  # noqa: BLE001 - the target's own, of when it is ready
                worker.child.journal.add(Event.TROUBLE, f"{worker.child.name}: {error!r}")
                return
            else:
                pause_seconds = 0.0

    async def is_complete(self, client: Client) -> bool:
        """Whether all are alive, and have been ready since their last start."""
        del client
        return all(
            worker.child.is_alive and self._ready.get(worker.child.name) == worker.child.pid
            for worker in self.kept
        )

    async def until_complete(self, client: Client) -> None:
        """Wait until all are ready, restarted ones included."""
        await wait_until(
            lambda: self.is_complete(client),
            what=f"the workers of {self.name} poll {self.task_queue} again",
            deadline_seconds=READY_DEADLINE_SECONDS,
        )

    def target_of(self, pid: int) -> str:
        """The name of one of them. Raises ChildError if it has ended."""
        return self._child(pid).name

    def signal(self, pid: int, number: Signals) -> None:
        """Send a signal to one of them, as the planned fault."""
        child = self._child(pid)
        child.journal.add(Event.FAULT, kind=FAULT_KINDS[number], target=child.name, pid=pid)
        child.send(number)

    def send(self, pid: int, number: Signals) -> None:
        """Send a signal to one of them."""
        self._child(pid).send(number)

    def watch(self, process: psutil.Process) -> None:
        """Does nothing: the end of a child is journaled in any case."""

    async def until_gone(self, pids: Collection[int]) -> None:
        """Wait until all of these have ended, and the journal has their ends."""
        await wait_until(
            lambda: not set(pids) & set(self.pids),
            what=f"the killed workers of {self.name} have ended",
            deadline_seconds=READY_DEADLINE_SECONDS,
        )

    async def discard(self) -> None:
        """End all workers, and restart none."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.child.discard() for worker in self.kept))

    def _child(self, pid: int) -> Child:
        found = [w.child for w in self.kept if w.child.is_alive and w.child.pid == pid]
        if not found:
            raise ChildError(f"{self.name} has no worker with the pid {pid} any more.")
        return found[0]

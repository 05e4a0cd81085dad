"""What keeps workers running: a target's own supervisor; the harness's is `WorkerKeeper`."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import Signals
from typing import Protocol

import psutil
from temporalio.client import Client

from chaos.environment.wire import Line
from chaos.environment.worker import READY_DEADLINE_SECONDS as WORKER_READY_DEADLINE_SECONDS
from chaos.environment.worker import polls
from chaos.evidence.journal import Event
from chaos.process.child import Child
from chaos.process.waiting import wait_until

READY_DEADLINE_SECONDS = 2 * WORKER_READY_DEADLINE_SECONDS
"""It starts, and only then do its workers."""

FAULT_KINDS = {
    signal.SIGKILL: "kill",
    signal.SIGTERM: "terminate",
    signal.SIGSTOP: "pause",
    signal.SIGUSR1: "hang",
}
"""What a fault is called, by its signal; the last one is that of `chaos.environment.hangable`."""

_DEADLY = frozenset({signal.SIGKILL, signal.SIGTERM})


class Supervisor(Protocol):
    """What keeps workers running on a task queue, named `fleet-N` in links and journals."""

    @property
    def name(self) -> str:
        """Its own in the stack."""

    @property
    def task_queue(self) -> str:
        """The task queue that its workers poll."""

    @property
    def clients(self) -> Sequence[str]:
        """The clients whose lines its workers use, where they are on the wire."""

    @property
    def logs(self) -> Sequence[Path]:
        """The log of its workers."""

    @property
    def pids(self) -> Sequence[int]:
        """The workers that it has now."""

    def target_of(self, pid: int) -> str:
        """The name of one of its workers in the journal."""

    async def is_complete(self, client: Client) -> bool:
        """Whether all its workers are ready."""

    async def until_complete(self, client: Client) -> None:
        """Wait until all its workers are ready, replacements included."""

    def signal(self, pid: int, number: Signals) -> None:
        """Send a signal to one of its workers, as the planned fault."""

    def send(self, pid: int, number: Signals) -> None:
        """Send a signal to one of its workers; its end is journaled."""

    def watch(self, process: psutil.Process) -> None:
        """Make sure that the end of one of its workers is journaled, whenever it comes."""

    async def until_gone(self, pids: Collection[int]) -> None:
        """Wait until none of these is its worker any more, and the journal has their ends."""

    async def discard(self) -> None:
        """End its workers, and start no more."""


@dataclass
class SupervisorProcess:
    """A supervisor of so many `workers`, and the task queue where their polls can be seen: on their
    `line`, if they are on the wire.
    """

    child: Child
    workers: int
    task_queue: str
    line: Line | None = None
    _watched: set[int] = field(default_factory=set, init=False)

    @property
    def pids(self) -> Sequence[int]:
        """The workers that it has now and that are alive: each leads a session, which the process
        that starts them does not.
        """
        try:
            children = psutil.Process(self.child.pid).children()
        except psutil.NoSuchProcess:
            return ()
        return [child.pid for child in children if _is_there(child) and _leads(child.pid)]

    async def start(self, client: Client) -> None:
        """Start it and wait until all its workers poll."""
        await self.child.start_ready(
            lambda: self.is_complete(client),
            what=f"the workers of {self.child.name} poll {self.task_queue}",
            deadline_seconds=READY_DEADLINE_SECONDS,
        )

    async def until_complete(self, client: Client) -> None:
        """Wait until all its workers poll, replacements included."""
        await wait_until(
            lambda: self.is_complete(client),
            what=f"the workers of {self.child.name} poll {self.task_queue} again",
            deadline_seconds=READY_DEADLINE_SECONDS,
        )

    async def is_complete(self, client: Client) -> bool:
        """Whether all its workers poll."""
        pids = self.pids
        if len(pids) != self.workers:
            return False
        for pid in pids:
            if not await self._polls(client, pid):
                return False
        return True

    async def _polls(self, client: Client, pid: int) -> bool:
        if self.line is None:
            return await polls(client, self.task_queue, pid)
        found = self.line.polled(pids=lambda: [pid])
        kinds = {poll.kind for poll in found if poll.queue == self.task_queue}
        return kinds >= {"workflow", "activity"}

    @property
    def name(self) -> str:
        """That of its process."""
        return self.child.name

    @property
    def clients(self) -> Sequence[str]:
        """Its own, which its workers share."""
        return [self.name]

    @property
    def logs(self) -> Sequence[Path]:
        """Its own, which has that of its workers."""
        return [self.child.log]

    @property
    def target(self) -> str:
        """The name of its workers in the journal: they have no names of their own."""
        return f"{self.child.name}-worker"

    def target_of(self, pid: int) -> str:
        """The same for all of them."""
        del pid
        return self.target

    def signal(self, pid: int, number: Signals) -> None:
        """Send a signal to one of its workers, as the planned fault."""
        self.child.journal.add(Event.FAULT, kind=FAULT_KINDS[number], target=self.target, pid=pid)
        self.send(pid, number)

    def send(self, pid: int, number: Signals) -> None:
        """Send a signal to one of its workers; after a deadly one its end is journaled as well."""
        process = psutil.Process(pid)
        self.child.journal.add(
            Event.SIGNALED,
            f"{number.name} to a worker of {self.child.name} (pid {pid})",
            target=self.target,
            pid=pid,
            signal=number.name,
        )
        if number in _DEADLY:
            self.watch(process)
        process.send_signal(number)

    def watch(self, process: psutil.Process) -> None:
        """Journal the end of one of its workers, whenever that comes. Only its parent gets its exit
        code, which is in the supervisor's log.
        """

        def wait() -> None:
            process.wait()
            self.child.journal.add(Event.EXITED, target=self.target, pid=process.pid)
            self._watched.discard(process.pid)

        if process.pid in self._watched:
            return
        self._watched.add(process.pid)
        threading.Thread(target=wait, name=f"watch {process.pid}", daemon=True).start()

    async def until_gone(self, pids: Collection[int]) -> None:
        """Wait until none of these is its worker any more, and the journal has their ends."""
        left = []
        for pid in pids:
            with suppress(psutil.NoSuchProcess):
                left.append(psutil.Process(pid))
        await wait_until(
            lambda: not set(pids) & self._watched and not any(map(_is_there, left)),
            what=f"the killed workers of {self.child.name} have ended",
            deadline_seconds=READY_DEADLINE_SECONDS,
        )

    async def until_failed_over(self, pids: Collection[int]) -> None:
        """Wait until it logs for each of these that it was lost, and what happened to its work."""

        def all_told() -> bool:
            log = self.child.log.read_text(errors="replace")
            return all(f"(pid {pid}) is lost (" in log for pid in pids)

        await self.until_gone(pids)
        await wait_until(
            all_told,
            what=f"{self.child.name} has failed over the work of the killed workers",
            deadline_seconds=READY_DEADLINE_SECONDS,
        )

    async def discard(self) -> None:
        """End it and its workers at the end of a run: by themselves they would first drain."""
        left: list[psutil.Process] = []
        if self.child.is_alive:
            with suppress(psutil.NoSuchProcess):
                fleet = psutil.Process(self.child.pid)
                fleet.suspend()  # or it would replace them
                left = fleet.children()
        for process in left:
            with suppress(psutil.NoSuchProcess):
                self._end(process)
        await self.child.discard()
        await wait_until(
            lambda: not any(_is_there(process) for process in left),
            what=f"the workers of {self.child.name} end",
            deadline_seconds=READY_DEADLINE_SECONDS,
        )

    def _end(self, process: psutil.Process) -> None:
        """Kill one that its supervisor will not wait for, and record the CPU time that it took."""
        target = self.target if _leads(process.pid) else f"{self.child.name}-spawner"
        took = process.cpu_times()
        process.kill()
        self.child.journal.add(
            Event.EXITED,
            target=target,
            pid=process.pid,
            cpu_seconds=round(took.user + took.system, 3),
        )


def _leads(pid: int) -> bool:
    with suppress(ProcessLookupError):
        return os.getsid(pid) == pid
    return False


def _is_there(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False

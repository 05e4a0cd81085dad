"""A fleet of the system under test: `python -m workflows.fleet`, and the workers that it keeps."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil
from temporalio.client import Client

from chaos.cluster.worker import READY_DEADLINE_SECONDS, polls
from chaos.journal import Event
from chaos.process import Child
from chaos.waiting import wait_until

FLEET_ARGV = (sys.executable, "-m", "workflows.fleet")


@dataclass
class FleetProcess:
    """A fleet of so many `workers`, and the task queue where they can be seen to listen."""

    child: Child
    workers: int
    task_queue: str

    @property
    def pids(self) -> Sequence[int]:
        """The processes that it has now, but for those that are gone."""
        try:
            children = psutil.Process(self.child.pid).children()
        except psutil.NoSuchProcess:
            return ()
        return [child.pid for child in children if _is_there(child)]

    async def start(self, client: Client) -> None:
        """Start it and wait until all its workers poll."""
        await self.child.start_ready(
            lambda: self.is_complete(client),
            what=f"the workers of {self.child.name} poll {self.task_queue}",
            deadline_seconds=READY_DEADLINE_SECONDS,
        )

    async def until_complete(self, client: Client) -> None:
        """Wait until all its workers poll, those that it has replaced included."""
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
            if not await polls(client, self.task_queue, pid):
                return False
        return True

    def strike(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to one of its workers, as the planned fault."""
        kind = {signal.SIGKILL: "kill", signal.SIGTERM: "terminate", signal.SIGSTOP: "pause"}
        target = f"{self.child.name}-worker"
        self.child.journal.add(Event.FAULT, kind=kind[number], target=target, pid=pid)
        self.signal(pid, number)

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to one of its workers."""
        self.child.journal.add(
            Event.SIGNALED,
            f"{number.name} to a worker of {self.child.name} (pid {pid})",
            target=f"{self.child.name}-worker",
            pid=pid,
            signal=number.name,
        )
        psutil.Process(pid).send_signal(number)

    async def discard(self) -> None:
        """End it and its workers at the end of a run: by themselves they would first drain."""
        left = [psutil.Process(pid) for pid in self.pids] if self.child.is_alive else []
        await self.child.discard()
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        await wait_until(
            lambda: not any(_is_there(process) for process in left),
            what=f"the workers of {self.child.name} end",
            deadline_seconds=READY_DEADLINE_SECONDS,
        )


def _is_there(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False

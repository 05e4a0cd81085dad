"""The Temporal dev server, a single process, is down or hangs."""

from __future__ import annotations

from typing import ClassVar, Literal

import psutil

from chaos.environment.server import SERVER
from chaos.experiment.lab import STEP_DEADLINE_SECONDS, Lab
from chaos.faults.base import Family, Fault
from chaos.process.waiting import wait_until


class ServerDown(Fault):
    """SIGKILL, and a restart on the same database when it is healed."""

    family: ClassVar[Family] = Family.SERVER

    type: Literal["server_down"] = "server_down"

    @property
    def kind(self) -> str:
        """Its name in the journal."""
        return "kill"

    @property
    def target(self) -> str:
        """The dev server's process."""
        return SERVER

    async def inject(self, lab: Lab) -> None:
        """Kill it and wait until it has ended."""
        await lab.stack.server.child.kill(STEP_DEADLINE_SECONDS)

    async def heal(self, lab: Lab) -> None:
        """Start it again and wait until it answers."""
        if not lab.stack.server.child.is_alive:
            await lab.stack.server.start()


class ServerPaused(Fault):
    """SIGSTOP, and SIGCONT when it is healed: connections stay open, and there is no answer."""

    family: ClassVar[Family] = Family.SERVER

    type: Literal["server_paused"] = "server_paused"

    @property
    def kind(self) -> str:
        """Its name in the journal."""
        return "pause"

    @property
    def target(self) -> str:
        """The dev server's process."""
        return SERVER

    async def inject(self, lab: Lab) -> None:
        """Pause it and wait until it is paused: the signal takes a while."""
        child = lab.stack.server.child
        child.pause()
        await wait_until(
            lambda: psutil.Process(child.pid).status() == psutil.STATUS_STOPPED,
            what=f"{child.name} sleeps",
            deadline_seconds=STEP_DEADLINE_SECONDS,
        )

    async def heal(self, lab: Lab) -> None:
        """Resume it."""
        lab.stack.server.child.resume()

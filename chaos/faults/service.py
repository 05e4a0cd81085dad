"""A service that the workers use is down."""

from __future__ import annotations

from typing import ClassVar, Literal

from chaos.environment.target import ServiceProcess
from chaos.experiment.lab import STEP_DEADLINE_SECONDS, Lab
from chaos.faults.base import Family, Fault


class ServiceDown(Fault):
    """SIGKILL to a service, and a restart on the same port when it is healed."""

    family: ClassVar[Family] = Family.SERVICE

    type: Literal["service_down"] = "service_down"
    service: str

    @property
    def kind(self) -> str:
        """Its name in the journal."""
        return "kill"

    @property
    def target(self) -> str:
        """The service's process."""
        return self.service

    async def inject(self, lab: Lab) -> None:
        """Kill it and wait until it has ended."""
        await self._process(lab).child.kill(STEP_DEADLINE_SECONDS)

    async def heal(self, lab: Lab) -> None:
        """Start it again and wait until it listens."""
        process = self._process(lab)
        if not process.child.is_alive:
            await process.start()

    def _process(self, lab: Lab) -> ServiceProcess:
        return lab.stack.services[self.service]

"""A system under test that is not the suite's own: its workers, and the services that they use."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chaos.environment.site import Site
from chaos.process.child import IMPORT_PATH, Child
from chaos.process.ports import Port

READY_DEADLINE_SECONDS = 30.0

EVIDENCE, SCRATCH, PORT = "{evidence}", "{scratch}", "{port}"
"""What command lines and settings may hold: the folder of the case, which is kept, one that goes
after the run, and, of a service, its port.
"""


@dataclass(frozen=True)
class Service:
    """A process beside the workers, such as the double of a payment provider.

    `argv` and `settings` may hold `EVIDENCE`, `SCRATCH` and `PORT`. It is ready when its port is
    open. The workers find it by `variable`, which holds `url` with its address.
    """

    name: str
    argv: Sequence[str]
    variable: str
    url: str = "http://{address}"
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class System:
    """What is started and broken in place of the suite's own workers.

    `worker` is the command line of one worker. It gets `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE` and
    `TASK_QUEUE`, and what `settings` add; `folder` comes first on its import path.
    `recovery_seconds` is what the system promises: the longest that work stands still after a fault
    before it goes on, fault included. `heartbeat_interval_seconds` is how often at the least a
    heartbeat of an activity reaches the server, which is what its workers are given as
    `max_heartbeat_throttle_interval`; None: unknown, so the last one may be as old as the timeout.
    """

    worker: Sequence[str]
    task_queue: str
    recovery_seconds: float
    folder: Path | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    services: Sequence[Service] = ()
    heartbeat_interval_seconds: float | None = None


@dataclass
class ServiceProcess:
    """A running service, on the port that it keeps over restarts."""

    service: Service
    child: Child
    port: Port

    async def start(self) -> None:
        """Start it, again after it has ended, and wait for its port. Raises ChildError."""
        await self.child.start_ready(
            self.port.is_open,
            what=f"{self.child.name} listens",
            deadline_seconds=READY_DEADLINE_SECONDS,
        )

    def variable(self, address: str) -> dict[str, str]:
        """How a worker finds it at that address: its own, or that of a proxy before it."""
        return {self.service.variable: self.service.url.replace("{address}", address)}

    async def discard(self) -> None:
        """End it at the end of a run."""
        await self.child.discard()
        self.port.release()


@dataclass(frozen=True)
class Premises:
    """Where a system runs for one case: it fills in what command lines and settings leave open."""

    system: System
    site: Site
    evidence: Path

    def worker(self) -> list[str]:
        """The command line of a worker."""
        return [self._filled(part) for part in self.system.worker]

    def settings(self) -> dict[str, str]:
        """What is added to a worker's environment."""
        return {**self._import_path(), **self._all_filled(self.system.settings)}

    def service(self, service: Service) -> ServiceProcess:
        """One of its services; it does not run yet."""
        port = Port()
        filled = [self._filled(part, port) for part in service.argv]
        settings = {**self._import_path(), **self._all_filled(service.settings, port)}
        return ServiceProcess(service, self.site.child(service.name, filled, settings), port)

    def _import_path(self) -> dict[str, str]:
        folder = self.system.folder
        return {"PYTHONPATH": f"{folder}{os.pathsep}{IMPORT_PATH}"} if folder else {}

    def _all_filled(self, settings: Mapping[str, str], port: Port | None = None) -> dict[str, str]:
        return {name: self._filled(value, port) for name, value in settings.items()}

    def _filled(self, text: str, port: Port | None = None) -> str:
        text = text.replace(EVIDENCE, str(self.evidence)).replace(SCRATCH, str(self.site.scratch))
        return text.replace(PORT, str(port.number)) if port else text

"""A Temporal dev server with a database file of its own, or without one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client

from chaos.environment.disk import FOLDER, SmallDisk, mounting
from chaos.environment.factory import ProcessFactory
from chaos.environment.temporal import (
    NAMESPACE,
    OWN_CONFIG,
    READY_DEADLINE_SECONDS,
    StackSpec,
    Topology,
    answers,
    connect,
)
from chaos.process.child import Child, ChildError
from chaos.process.ports import Port, PortTakenError

SERVER = "temporal-server"
"""The name of its process."""

DISK = "server-disk"
"""The name of the process that holds its small disk, where it has one."""

DATABASE = "temporal.db"
"""The name of its file."""

LAZY = {"GOGC": "400"}
"""Go collects its garbage less often than by default: a server that lives for a minute or two then
needs an eighth less CPU time.
"""

SIDECARS = ("-journal", "-wal", "-shm")
"""Suffixes of the files that SQLite keeps beside a database, and that belong to it."""


@dataclass
class TemporalServer:
    """The server process and its port, which stays the same over restarts. `database` is its file,
    None if the data is in memory. On a small `disk` it is below `disk.inside`, while that is
    mounted. Its Web UI, where it has one, is at `ui_port`.
    """

    child: Child
    port: Port
    database: Path | None = None
    disk: SmallDisk | None = None
    ui_port: Port | None = None
    namespace: str = NAMESPACE
    prefix: str = ""
    execution_timeout: timedelta | None = None
    _added: Sequence[str] = field(default=(), init=False)

    @staticmethod
    def argv(  # noqa: PLR0913, PLR0917 - what a command line is made of
        cli: Path,
        port: Port,
        database: Path | None,
        dynamic_config: Mapping[str, str],
        ui_port: Port | None = None,
        namespace: str = NAMESPACE,
    ) -> list[str]:
        """The command line; it must be the same at a restart, dynamic configuration included."""
        return [
            str(cli),
            *("server", "start-dev", "--log-level", "warn"),
            *("--ip", "127.0.0.1", "--port", str(port.number)),
            *(("--ui-port", str(ui_port.number)) if ui_port else ("--headless",)),
            *(("--db-filename", str(database)) if database else ()),
            *(("--namespace", namespace) if namespace != NAMESPACE else ()),
            *(part for key, value in dynamic_config.items() for part in _setting(key, value)),
        ]

    @property
    def address(self) -> str:
        """`host:port`."""
        return self.port.address

    @property
    def worker_environment(self) -> Mapping[str, str]:
        """How a worker finds it."""
        return {"TEMPORAL_ADDRESS": self.address, "TEMPORAL_NAMESPACE": self.namespace}

    async def start(self) -> None:
        """Start it and wait until its namespace answers. Raises ChildError."""
        if self.disk and not self.disk.owner.is_alive:
            await self.disk.hold()
            self.child.argv = self.disk.entering(self.child.argv)
        await self.child.start_ready(
            lambda: answers(self),
            what="the Temporal server answers",
            deadline_seconds=READY_DEADLINE_SECONDS,
        )

    async def configure(self, settings: Mapping[str, str]) -> None:
        """Start it again with this dynamic configuration over its own, in the place of what this
        gave it before: the program reads none while it runs. Raises ChildError.
        """
        await self.child.kill()
        argv = list(self.child.argv)
        added = [part for name, text in settings.items() for part in _setting(name, text)]
        self.child.argv = [*argv[: len(argv) - len(self._added)], *added]
        self._added = added
        await self.start()

    async def connect(self) -> Client:
        """A client with a connection of its own, which reconnects after a restart."""
        return await connect(self.address, namespace=self.namespace)

    async def discard(self, workflow_ids: Sequence[str] = ()) -> None:
        """End it at the end of a run; its workflows end with it."""
        del workflow_ids
        await self.child.discard()
        if self.disk:
            await self.disk.owner.discard()
        self.port.release()
        if self.ui_port:
            self.ui_port.release()


@dataclass(frozen=True)
class DevFactory:
    """Makes dev servers of a Temporal CLI."""

    cli: Path
    topology: Topology = Topology.DEV

    async def make(self, spec: StackSpec, processes: ProcessFactory) -> TemporalServer:
        """One whose data is in the stack's scratch folder, or on a small disk there. Raises
        ChildError if the port that it needs is in use.
        """
        port = fixed_port(spec.port) if spec.port and not spec.wire else Port()
        disk = _small_disk(spec.disk_mib, processes) if spec.disk_mib else None
        folder = disk.folder if disk else processes.scratch
        database = folder / DATABASE if spec.persistent else None
        ui_port = Port() if spec.ui else None
        config = {**OWN_CONFIG, **spec.dynamic_config}
        argv = TemporalServer.argv(self.cli, port, database, config, ui_port, spec.namespace)
        child = processes.child(SERVER, argv, LAZY)
        return TemporalServer(child, port, database, disk, ui_port, spec.namespace)


def fixed_port(number: int) -> Port:
    """The fixed port that the target's workers connect to. Raises ChildError."""
    try:
        return Port(number=number)
    except PortTakenError as error:
        raise ChildError(
            f"the target's workers connect only to localhost:{number}, and {error}: end it, or "
            "wait until it has ended, and run again."
        ) from None


def _setting(name: str, text: str) -> tuple[str, str]:
    return "--dynamic-config-value", f"{name}={text}"


def _small_disk(size_mib: int, processes: ProcessFactory) -> SmallDisk:
    command = ("sleep", "infinity")
    folder = processes.scratch / FOLDER
    return SmallDisk(processes.child(DISK, mounting(folder, command, size_mib)), folder)

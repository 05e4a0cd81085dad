"""From what a user has chosen to what makes the Temporal of each stack."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from chaos.environment.external import Connection, ExternalMaker
from chaos.environment.postgres import PostgresNotFoundError, PostgresPrograms
from chaos.environment.server import DevMaker
from chaos.environment.template import PostgresMaker
from chaos.environment.temporal import Maker, Topology
from chaos.process.programs import (
    TEMPORAL_CLI,
    TEMPORAL_SERVER,
    TEMPORAL_SQL_TOOL,
    BadBinaryError,
    Binary,
    BinaryNotFoundError,
    Program,
    find_program,
)
from chaos.process.reaper import MARK


class NotInstalledError(Exception):
    """The machine lacks what a topology is made of. One sentence: what, and how to get it."""


@dataclass(frozen=True)
class Choice:
    """The topology, and the programs that the user named."""

    topology: Topology = Topology.DEV
    temporal_cli: Path | None = None
    temporal_server: Path | None = None


@dataclass(frozen=True)
class Ground:
    """What all stacks of a run stand on. `secrets` must be in no file that is kept."""

    maker: Maker
    server_version: str
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chooser:
    """Finds the ground for a run with this mark. `cancel` ends the search at once."""

    run_id: str
    mark: str
    announce: Callable[[str], None]
    cancel: threading.Event

    def find(self, choice: Choice) -> Ground:
        """Raises NotInstalledError, ExternalError, BadBinaryError, BinaryNotFoundError and
        SearchCancelledError.
        """
        ways = {
            Topology.DEV: self._dev,
            Topology.POSTGRES: self._postgres,
            Topology.EXTERNAL: self._external,
        }
        return ways[choice.topology](choice)

    def _dev(self, choice: Choice) -> Ground:
        cli = self._program(TEMPORAL_CLI, choice.temporal_cli)
        return Ground(DevMaker(cli.path), cli.server_version)

    def _postgres(self, choice: Choice) -> Ground:
        try:
            PostgresPrograms.find()
            server = self._program(TEMPORAL_SERVER, choice.temporal_server)
            sql_tool = self._program(TEMPORAL_SQL_TOOL, None)
        except PostgresNotFoundError as error:
            raise NotInstalledError(f"the topology postgres cannot run here: {error}") from None
        except BinaryNotFoundError as error:
            if shutil.which("go"):
                raise
            raise NotInstalledError(_no_program(error.program)) from None
        if server.server_version != sql_tool.server_version:
            raise BadBinaryError(
                f"{server.path} is of version {server.server_version} and {sql_tool.path} of "
                f"{sql_tool.server_version}: name two of the same version by "
                f"{TEMPORAL_SERVER.variable} and {TEMPORAL_SQL_TOOL.variable}."
            )
        template = Path(self.mark) / "postgres-template"
        maker = PostgresMaker(server.path, sql_tool.path, template, self.mark)
        return Ground(maker, server.server_version)

    def _external(self, choice: Choice) -> Ground:
        del choice
        connection = Connection.load()
        version = asyncio.run(connection.look())
        self.announce(f"using {connection.address}, namespace {connection.namespace}")
        maker = ExternalMaker.for_run(connection, self.run_id)
        return Ground(maker, version, tuple(connection.secrets))

    def _program(self, program: Program, named: Path | None) -> Binary:
        marked: Mapping[str, str] = {MARK: self.mark}
        return find_program(
            program, named, announce=self.announce, cancel=self.cancel, env_mark=marked
        )


def _no_program(program: Program) -> str:
    return (
        f"the topology postgres cannot run here: there is no {program.title}, nor Go to build it; "
        f"install Go {program.needed_go} or newer, or name its file by {program.variable}."
    )

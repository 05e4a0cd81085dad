"""From the user's choice of a topology to the factory of each stack's Temporal."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from chaos.environment.external import Connection, ExternalFactory
from chaos.environment.postgres import PostgresNotFoundError, PostgresPrograms
from chaos.environment.server import DevFactory
from chaos.environment.template import PostgresFactory
from chaos.environment.temporal import TemporalFactory, Topology
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
from chaos.process.reaper import RUN_TAG


class NotInstalledError(Exception):
    """The machine lacks a part of a topology. One sentence: what, and how to get it."""


@dataclass(frozen=True)
class Choice:
    """The topology, and the programs that the user named."""

    topology: Topology = Topology.DEV
    temporal_cli: Path | None = None
    temporal_server: Path | None = None


@dataclass(frozen=True)
class Provisioned:
    """What all stacks of a run are made from. No file that is kept may contain `secrets`."""

    temporal_factory: TemporalFactory
    server_version: str
    secrets: tuple[str, ...] = ()


def provision(
    choice: Choice,
    *,
    run_id: str,
    run_tag: str,
    announce: Callable[[str], None],
    cancel: threading.Event,
) -> Provisioned:
    """Find or install what the chosen topology needs, for the run with this tag. `cancel` ends the
    search at once.

    Raises NotInstalledError, ExternalError, BadBinaryError, BinaryNotFoundError and
    SearchCancelledError.
    """
    find = partial(find_program, announce=announce, cancel=cancel, environment={RUN_TAG: run_tag})
    if choice.topology is Topology.EXTERNAL:
        return _external(run_id, announce)
    if choice.topology is Topology.POSTGRES:
        return _postgres(find, choice.temporal_server, run_tag)
    cli = find(TEMPORAL_CLI, choice.temporal_cli)
    return Provisioned(DevFactory(cli.path), cli.server_version)


def _postgres(
    find: Callable[[Program, Path | None], Binary], named: Path | None, run_tag: str
) -> Provisioned:
    try:
        PostgresPrograms.find()
        server = find(TEMPORAL_SERVER, named)
        sql_tool = find(TEMPORAL_SQL_TOOL, None)
    except PostgresNotFoundError as error:
        raise NotInstalledError(f"the topology postgres cannot run here: {error}") from None
    except BinaryNotFoundError as error:
        if shutil.which("go"):
            raise
        raise NotInstalledError(_no_program(error.program)) from None
    if server.server_version != sql_tool.server_version:
        raise BadBinaryError(
            f"{server.path} has version {server.server_version} and {sql_tool.path} has "
            f"{sql_tool.server_version}: give two of the same version by "
            f"{TEMPORAL_SERVER.variable} and {TEMPORAL_SQL_TOOL.variable}."
        )
    template = Path(run_tag) / "postgres-template"
    factory = PostgresFactory(server.path, sql_tool.path, template, run_tag)
    return Provisioned(factory, server.server_version)


def _external(run_id: str, announce: Callable[[str], None]) -> Provisioned:
    connection = Connection.load()
    version = asyncio.run(connection.look())
    announce(f"using {connection.address}, namespace {connection.namespace}")
    factory = ExternalFactory.for_run(connection, run_id)
    return Provisioned(factory, version, tuple(connection.secrets))


def _no_program(program: Program) -> str:
    return (
        f"the topology postgres cannot run here: there is neither the {program.title} nor Go to "
        f"build it; install Go {program.needed_go} or newer, or name its file by "
        f"{program.variable}."
    )

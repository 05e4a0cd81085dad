"""PostgreSQL data with Temporal's schema, made once in a run and copied for each of its stacks."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos.environment.cluster import TemporalCluster
from chaos.environment.factory import ProcessFactory
from chaos.environment.postgres import SUPERUSER, Postgres
from chaos.environment.roles import DATABASE, VISIBILITY, FrontendTls
from chaos.environment.temporal import StackSpec, Topology
from chaos.evidence.journal import Journal
from chaos.process.child import ChildError

_SCHEMAS: Mapping[str, str] = {DATABASE: "temporal", VISIBILITY: "visibility"}
_SCHEMA_DEADLINE_SECONDS = 60.0


@dataclass
class PostgresFactory:
    """Makes clusters of the programs `server` and `sql_tool`.

    `scratch` is a folder of its own, which is removed after the run. With `tls` the frontends
    require client certificates, and `options` are those of a client that has one.
    """

    server: Path
    sql_tool: Path
    scratch: Path
    run_tag: str
    tls: FrontendTls | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    topology: Topology = Topology.POSTGRES
    _template: Path | None = None
    _making: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def make(self, spec: StackSpec, processes: ProcessFactory) -> TemporalCluster:
        """A cluster with data of its own. Raises ChildError."""
        spec.require_free(self.topology)
        template = await self._ready_template()
        _let_through(processes.scratch, Path(self.run_tag))
        postgres = Postgres.below(
            processes.scratch,
            run_tag=processes.run_tag,
            logs=processes.logs,
            journal=processes.journal,
        )
        await asyncio.to_thread(_copy, template, postgres.data)
        return TemporalCluster.at(
            processes, postgres, self.server, spec, tls=self.tls, options=self.options
        )

    async def _ready_template(self) -> Path:
        async with self._making:
            if self._template is None:
                self._template = await self._make_template()
            return self._template

    async def _make_template(self) -> Path:
        self.scratch.mkdir(parents=True)
        _let_through(self.scratch, Path(self.run_tag))
        journal = Journal(self.scratch / "journal.jsonl", lambda _: None)
        processes = ProcessFactory(self.run_tag, self.scratch, self.scratch / "logs", journal)
        postgres = Postgres.below(
            self.scratch, run_tag=self.run_tag, logs=processes.logs, journal=journal
        )
        cluster = TemporalCluster.at(processes, postgres, self.server, StackSpec())
        try:
            await postgres.start()
            for database, schema in _SCHEMAS.items():
                await postgres.create_database(database)
                await self._make_schema(processes, postgres, database, schema)
            await cluster.initialise()
            # The one that did this would be looked for by all that come after it.
            await postgres.execute(DATABASE, "TRUNCATE cluster_membership")
            await postgres.stop()
        finally:
            await cluster.discard()
            journal.close()
        return postgres.data

    async def _make_schema(
        self, processes: ProcessFactory, postgres: Postgres, database: str, schema: str
    ) -> None:
        where = ("--endpoint", "127.0.0.1", "--port", str(postgres.port.number))
        whose = ("--user", SUPERUSER, "--plugin", "postgres12", "--database", database)
        for step in (
            ("setup-schema", "--version", "0.0"),
            ("update-schema", "--schema-name", f"postgresql/v12/{schema}"),
        ):
            tool = processes.child(
                f"temporal-sql-tool-{database}-{step[0]}",
                (str(self.sql_tool), *where, *whose, *step),
            )
            tool.start()
            if await tool.wait(_SCHEMA_DEADLINE_SECONDS):
                raise ChildError(f"Temporal's schema could not be created:\n{tool.last_lines()}")


def _let_through(folder: Path, run: Path) -> None:
    """Let PostgreSQL, which runs as another user if the run is root's, access a folder of the run,
    whatever the umask.
    """
    for each in (folder, *folder.parents):
        if each == run:
            return
        each.chmod(0o711)


def _copy(template: Path, data: Path) -> None:
    """Copy a data folder with the owner of each file."""

    def copy(source: str, target: str) -> None:
        shutil.copy2(source, target)
        _give(source, target)

    shutil.copytree(template, data, copy_function=copy)
    for folder, _, _ in os.walk(template):
        _give(folder, str(data / Path(folder).relative_to(template)))


def _give(source: str, target: str) -> None:
    owner = Path(source).stat()
    os.chown(target, owner.st_uid, owner.st_gid)

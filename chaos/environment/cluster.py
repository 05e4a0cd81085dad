"""A Temporal cluster: PostgreSQL, and a process for each role, two of them for history."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from chaos.environment.factory import ProcessFactory
from chaos.environment.postgres import Postgres
from chaos.environment.roles import (
    FRONTEND,
    ROLES,
    FrontendTls,
    RolePorts,
    dynamic_config,
    role_config,
)
from chaos.environment.temporal import (
    NAMESPACE,
    OWN_CONFIG,
    READY_DEADLINE_SECONDS,
    StackSpec,
    answers,
    connect,
    is_over_limit,
    register,
)
from chaos.process.child import Child, ChildError
from chaos.process.waiting import wait_until

_PATIENCE = timedelta(seconds=2)


@dataclass
class TemporalCluster:
    """The database, the other processes by name, and their ports. `options` are what a client needs
    besides the address, such as TLS. `settings` is the file with its dynamic configuration, which
    was `configured` first.
    """

    postgres: Postgres
    roles: Mapping[str, Child]
    ports: Mapping[str, RolePorts]
    options: Mapping[str, Any] = field(default_factory=dict)
    namespace: str = NAMESPACE
    prefix: str = ""
    execution_timeout: timedelta | None = None
    settings: Path | None = field(default=None, init=False)
    configured: Mapping[str, str] = field(default_factory=dict, init=False)

    @classmethod
    def at(  # noqa: PLR0913 - each is named by its caller
        cls,
        processes: ProcessFactory,
        postgres: Postgres,
        server: Path,
        spec: StackSpec,
        *,
        tls: FrontendTls | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> TemporalCluster:
        """Write the configuration of every process of the program `server`."""
        ports = {name: RolePorts() for name in ROLES}
        settings = processes.scratch / "dynamic.yaml"
        configured = {**OWN_CONFIG, **spec.dynamic_config}
        settings.write_text(dynamic_config(configured))
        roles = {}
        for name, role in ROLES.items():
            file = processes.scratch / f"{name}.yaml"
            file.write_text(
                role_config(
                    name, ports, database=postgres.port.address, dynamic_config=settings, tls=tls
                )
            )
            start = ("--config-file", str(file), "--allow-no-auth", "start", "--service", role)
            roles[name] = processes.child(name, (str(server), *start))
        found = cls(postgres, roles, ports, options or {})
        found.settings, found.configured = settings, configured
        return found

    @property
    def address(self) -> str:
        """The frontend's `host:port`."""
        return self.ports[FRONTEND].calls.address

    @property
    def worker_environment(self) -> Mapping[str, str]:
        """The variables by which a worker finds it."""
        return {"TEMPORAL_ADDRESS": self.address, "TEMPORAL_NAMESPACE": self.namespace}

    @property
    def processes(self) -> Mapping[str, Child]:
        """All processes by name, the database first."""
        return {self.postgres.child.name: self.postgres.child, **self.roles}

    async def start(self) -> None:
        """Start every process that does not run, and wait until all answer. Raises ChildError."""
        resting = [name for name, child in self.processes.items() if not child.is_alive]
        if self.postgres.child.name in resting:
            await self.postgres.start()
        if FRONTEND in resting:
            # It writes its address into the database; where several do, all but one fail.
            await self._start_role(FRONTEND)
        already = (self.postgres.child.name, FRONTEND)
        await self.start_again(*(name for name in resting if name not in already))

    async def initialise(self) -> None:
        """Let one process write what a new database needs, and the namespace. Raises ChildError."""
        await self._start_role(FRONTEND)
        await wait_until(
            lambda: register(self, self.namespace),
            what=f"the namespace {self.namespace} exists",
            deadline_seconds=READY_DEADLINE_SECONDS,
        )
        await self.roles[FRONTEND].kill()

    async def start_again(self, *names: str) -> None:
        """Start these, the database first, and wait until all answer. Raises ChildError."""
        if self.postgres.child.name in names:
            await self.postgres.start()
        await asyncio.gather(*(self._start_role(name) for name in names if name in self.roles))
        await wait_until(
            self._answers, what="the cluster answers", deadline_seconds=READY_DEADLINE_SECONDS
        )

    async def configure(self, settings: Mapping[str, str]) -> None:
        """Start the frontend again with this dynamic configuration over the cluster's own, in the
        place of what this gave it before. Raises ChildError.
        """
        if self.settings is None:
            raise ChildError("the cluster's dynamic configuration is in no file.")
        self.settings.write_text(dynamic_config({**self.configured, **settings}))
        await self.roles[FRONTEND].kill()
        await self.start_again(FRONTEND)

    async def connect(self) -> Client:
        """A client with a connection of its own, which reconnects after a restart."""
        return await connect(self.address, **self.options)

    async def discard(self, workflow_ids: Sequence[str] = ()) -> None:
        """End all processes at the end of a run; its workflows end with them."""
        del workflow_ids
        await asyncio.gather(*(child.discard() for child in self.roles.values()))
        await self.postgres.discard()
        for ports in self.ports.values():
            ports.release()

    async def _start_role(self, name: str) -> None:
        await self.roles[name].start_ready(
            self.ports[name].are_open,
            what=f"{name} listens",
            deadline_seconds=READY_DEADLINE_SECONDS,
        )

    async def _answers(self) -> bool:
        """Whether the database and each role that accepts calls answer."""
        for child in self.processes.values():
            child.require_alive()
        return await answers(self) and await self._roles_answer()

    async def _roles_answer(self) -> bool:
        nobody = f"nobody-{uuid4()}"
        try:
            service = (await self.connect()).workflow_service
            await service.describe_task_queue(
                DescribeTaskQueueRequest(
                    namespace=self.namespace, task_queue=TaskQueue(name=nobody)
                ),
                timeout=_PATIENCE,
            )
            await service.describe_workflow_execution(
                DescribeWorkflowExecutionRequest(
                    namespace=self.namespace, execution=WorkflowExecution(workflow_id=nobody)
                ),
                timeout=_PATIENCE,
            )
        except RPCError as error:
            # History has looked it up: there is no such workflow. A refusal says nothing of the
            # roles, but under a limit of one call a second nobody could ask them all.
            return error.status is RPCStatusCode.NOT_FOUND or is_over_limit(error)
        except RuntimeError:
            return False
        return True

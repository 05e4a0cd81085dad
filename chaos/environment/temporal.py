"""What a stack needs of its Temporal in any topology, and the topologies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import cache
from typing import Any, Protocol

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import ResourceExhaustedCause
from temporalio.api.errordetails.v1 import ResourceExhaustedFailure
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig
from temporalio.service import RPCError, RPCStatusCode

from chaos.environment.factory import ProcessFactory
from chaos.process.child import ChildError
from chaos.process.waiting import wait_until

NAMESPACE = "default"
READY_DEADLINE_SECONDS = 30.0
RETENTION = timedelta(days=1)
"""Of a namespace that the suite makes: longer than any run."""

OWN_CONFIG: Mapping[str, str] = {
    # Else a server tells of pollers as they were up to 5 s ago, and so late is a worker ready.
    "matching.TaskQueueInfoByBuildIdTTL": '"0s"',
}
"""Dynamic configuration of every server of ours."""


class Topology(StrEnum):
    """`dev`: one server process, its data in a file. `postgres`: a process for each role, their
    data in PostgreSQL. `external`: an existing cluster, which the harness must not break.
    """

    DEV = "dev"
    POSTGRES = "postgres"
    EXTERNAL = "external"


@dataclass(frozen=True)
class StackSpec:
    """What a stack is made of. `persistent` False keeps a dev server's data in memory only;
    `disk_mib` puts them on a disk of that size, of which `chaos/environment/disk.py` tells. With
    `ui` a dev server has its Web UI. One that `shares_server` may get a namespace of its own on a
    server that others use as well: nothing may be done to that, and what is said of its data or
    configuration does not count. Workers whose address is fixed find a dev server at this `port`,
    and those whose namespace is, at this one. With `wire` all workers are on the wire, and those
    whose address is fixed find a line of that at the `port`.
    """

    persistent: bool = True
    disk_mib: int | None = None
    dynamic_config: Mapping[str, str] = field(default_factory=dict)
    ui: bool = False
    shares_server: bool = False
    port: int | None = None
    namespace: str = NAMESPACE
    wire: bool = False

    @property
    def is_fixed(self) -> bool:
        """Whether its address or namespace is given, so that it cannot be just any."""
        return self.port is not None or self.namespace != NAMESPACE

    def require_free(self, topology: Topology) -> None:
        """Raise ChildError where it is fixed, and a topology cannot give what it asks for."""
        if self.is_fixed:
            raise ChildError(
                f"the target needs a Temporal server of its own ({self._fixed}), which the "
                f"topology {topology} cannot provide: run it with --topology dev."
            )

    @property
    def _fixed(self) -> str:
        port = [f"port {self.port}"] if self.port else []
        return ", ".join([*port, f"namespace {self.namespace}"])


SHARED_SERVER = StackSpec(shares_server=True)
"""Of a case whose fault is not the server's."""


class Temporal(Protocol):
    """The Temporal of one stack. `start` may be called again after its processes ended."""

    @property
    def address(self) -> str:
        """`host:port`."""

    @property
    def namespace(self) -> str:
        """The namespace of the stack's workflows."""

    @property
    def prefix(self) -> str:
        """What the ids and task queues of the stack begin with; empty where they are alone."""

    @property
    def execution_timeout(self) -> timedelta | None:
        """The longest that a workflow may live; None where it ends with the stack."""

    @property
    def worker_environment(self) -> Mapping[str, str]:
        """The SDK's standard variables by which a worker finds it."""

    async def start(self) -> None:
        """Start it and wait until its namespace answers. Raises ChildError."""

    async def connect(self) -> Client:
        """A client with a connection of its own, which reconnects after a restart."""

    async def discard(self, workflow_ids: Sequence[str]) -> None:
        """Leave nothing behind: end the stack's processes, and these workflows of it."""


class TemporalFactory(Protocol):
    """Makes the Temporal of each stack of a run."""

    @property
    def topology(self) -> Topology:
        """Where it runs."""

    async def make(self, spec: StackSpec, processes: ProcessFactory) -> Temporal:
        """One for a stack; it does not run yet. Raises ChildError."""


@cache
def quiet_runtime() -> Runtime:
    """The SDK's runtime without its warnings: servers are expected to go away here."""
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter="OFF")))


async def connect(address: str, **options: Any) -> Client:
    """The client of every part of the harness. Raises RuntimeError where no server answers."""
    return await Client.connect(
        address,
        **{"namespace": NAMESPACE, **options},
        data_converter=pydantic_data_converter,
        runtime=quiet_runtime(),
    )


async def register(temporal: Temporal, namespace: str) -> bool:
    """Create a namespace if there is none of that name; whether it exists now."""
    retention = Duration()
    retention.FromTimedelta(RETENTION)
    request = RegisterNamespaceRequest(
        namespace=namespace, workflow_execution_retention_period=retention
    )
    try:
        service = (await temporal.connect()).workflow_service
        await service.register_namespace(request, timeout=timedelta(seconds=2))
    except RPCError as error:
        return error.status is RPCStatusCode.ALREADY_EXISTS
    except RuntimeError:
        return False
    return True


async def add_namespace(temporal: Temporal, namespace: str) -> None:
    """Create one beside its own, and wait until it answers. Raises DeadlineExceededError."""

    async def is_there() -> bool:
        return await register(temporal, namespace) and await answers(temporal, namespace)

    await wait_until(
        is_there,
        what=f"the namespace {namespace} answers",
        deadline_seconds=READY_DEADLINE_SECONDS,
    )


async def answers(temporal: Temporal, namespace: str | None = None) -> bool:
    """Whether the namespace can be described, its own unless another is named, by a new connection:
    one that has failed waits longer before each retry. That its rate limit is reached is an answer.
    """
    asked = DescribeNamespaceRequest(namespace=namespace or temporal.namespace)
    try:
        client = await temporal.connect()
        await client.workflow_service.describe_namespace(asked, timeout=timedelta(seconds=1))
    except RPCError as error:
        return is_over_limit(error)
    except RuntimeError:
        return False
    return True


def is_over_limit(error: RPCError) -> bool:
    """Whether the server refused a call because its namespace has made so many of late."""
    if error.status is not RPCStatusCode.RESOURCE_EXHAUSTED:
        return False
    told = ResourceExhaustedFailure()
    return any(
        each.Unpack(told)
        and told.cause == ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_RPS_LIMIT
        for each in error.grpc_status.details
    )

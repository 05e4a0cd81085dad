"""An external Temporal cluster: the harness starts its own workflows there, and does nothing else.
Every id and task queue has a prefix that is unique to the run. Nothing is listed or searched, and
each workflow ends with its stack, or by its execution timeout if the run is killed.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, GetSystemInfoRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError, RPCStatusCode, TLSConfig

from chaos.environment.factory import ProcessFactory
from chaos.environment.temporal import READY_DEADLINE_SECONDS, StackSpec, Topology, answers, connect
from chaos.evidence.journal import Event, Journal
from chaos.process.child import ChildError
from chaos.process.waiting import wait_until

DEFAULT_ADDRESS = "localhost:7233"
"""The SDK's own."""

EXECUTION_TIMEOUT = timedelta(hours=1)
"""Far longer than any case takes; it ends a workflow that the run could not terminate."""

_LOOK_SECONDS = 15.0
_PATIENCE = timedelta(seconds=10)
_SHORTEST_SECRET = 16
_LONGEST_REASON = 200
_CERTIFICATE = re.compile(r"InvalidCertificate\((\w+)")
_QUOTED = re.compile(r'"([^"\\]+)"')
_NAMED = re.compile(r"(\w+Error)\)")
_AWAY = {RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED}
_REFUSED = {RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED}


class ExternalError(Exception):
    """The cluster cannot be used. One sentence: what is wrong and what to do."""


class UnreachableError(ExternalError):
    """Nobody answered there, which may be because it is not up yet."""


@dataclass(frozen=True)
class Connection:
    """The user's configuration of the SDK: address, namespace, TLS, API key."""

    address: str
    options: Mapping[str, Any] = field(repr=False)
    """Arguments of `Client.connect` besides the address."""
    named_by: str = "TEMPORAL_ADDRESS"
    """What the address is from, for messages."""

    @classmethod
    def load(cls) -> Connection:
        """Read the standard variables and their file. Raises ExternalError."""
        try:
            config = ClientConfig.load_client_connect_config()
        except OSError as error:
            raise ExternalError(
                f"{error.filename}, which a TEMPORAL_TLS_* variable names, cannot be read "
                f"({error.strerror}); correct the variable."
            ) from None
        except (RuntimeError, ValueError) as error:
            raise ExternalError(
                f"cannot read the configuration of Temporal ({_first_line(error)}); "
                "correct the TEMPORAL_* variables, or the file that TEMPORAL_CONFIG_FILE names."
            ) from None
        if config.get("namespace") == "":
            raise ExternalError("TEMPORAL_NAMESPACE is empty; unset it, or name a namespace.")
        options = {name: value for name, value in config.items() if name != "target_host"}
        address = config.get("target_host", DEFAULT_ADDRESS)
        return cls(address, {"namespace": "default", **options})

    def at(self, address: str, named_by: str) -> Connection:
        """The same for another address, such as that of an option. Raises ExternalError."""
        if not address:
            raise ExternalError(f"{named_by} is empty; give HOST:PORT.")
        return replace(self, address=address, named_by=named_by)

    @property
    def namespace(self) -> str:
        """The namespace of the run's workflows."""
        return str(self.options["namespace"])

    @property
    def environment(self) -> Mapping[str, str]:
        """The same as standard variables only, for a worker, which has no file to read."""
        tls = self.options.get("tls")
        metadata = self.options.get("rpc_metadata", {})
        found = {
            "TEMPORAL_ADDRESS": self.address,
            "TEMPORAL_NAMESPACE": self.namespace,
            "TEMPORAL_API_KEY": self.options.get("api_key"),
            **_tls_environment(tls),
            **{
                f"TEMPORAL_GRPC_META_{name.upper().replace('-', '_')}": value
                for name, value in metadata.items()
            },
        }
        return {name: value for name, value in found.items() if value}

    @property
    def secrets(self) -> Sequence[str]:
        """What no file may contain: the API key, the lines of the private key, and metadata."""
        tls = self.options.get("tls")
        private = tls.client_private_key if isinstance(tls, TLSConfig) else None
        lines = (private or b"").decode(errors="replace").splitlines()
        found = [
            *lines,
            *self.options.get("rpc_metadata", {}).values(),
        ]
        key = self.options.get("api_key")
        return [
            *([key] if key else []),
            *(s for s in found if len(s) >= _SHORTEST_SECRET and not s.startswith("-----")),
        ]

    async def connect(self) -> Client:
        """A client. Raises RuntimeError where no server answers."""
        return await connect(self.address, **self.options)

    async def look(self) -> str:
        """Check that it can be used, and return the server's version. Raises as `reach` does."""
        _, version = await self._reached()
        return version

    async def reach(self) -> Client:
        """A client of which it is known that it can be used. Raises ExternalError, and
        UnreachableError where nobody answers.
        """
        client, _ = await self._reached()
        return client

    async def _reached(self) -> tuple[Client, str]:
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                client = await self.connect()
                service = client.workflow_service
                await service.describe_namespace(DescribeNamespaceRequest(namespace=self.namespace))
                info = await service.get_system_info(GetSystemInfoRequest())
        except TimeoutError:
            raise UnreachableError(
                f"Temporal at {self.address} did not answer within {_LOOK_SECONDS:g} s; "
                f"check {self.named_by}."
            ) from None
        except RuntimeError as error:
            raise self._unreachable(error) from None
        except ValueError as error:
            raise ExternalError(
                f"{self.address!r} is no address of a Temporal ({_first_line(error)}); "
                f"check {self.named_by}: HOST:PORT is expected."
            ) from None
        except RPCError as error:
            kind = UnreachableError if error.status in _AWAY else ExternalError
            raise kind(self.refused(error)) from None
        return client, info.server_version

    def _unreachable(self, error: RuntimeError) -> ExternalError:
        reason = innermost(str(error))
        if "InvalidCertificate" in str(error):
            return ExternalError(
                f"the certificate of Temporal at {self.address} is not trusted ({reason}); "
                "check TEMPORAL_TLS_SERVER_CA_CERT_PATH and TEMPORAL_TLS_SERVER_NAME."
            )
        return UnreachableError(
            f"cannot connect to Temporal at {self.address} ({reason}); "
            f"check {self.named_by} and the TEMPORAL_TLS_* variables."
        )

    def refused(self, error: RPCError) -> str:
        """Why it answered with an error, and what to do."""
        if error.status is RPCStatusCode.NOT_FOUND:
            return (
                f"Temporal at {self.address} has no namespace {self.namespace!r}; "
                "check TEMPORAL_NAMESPACE."
            )
        if error.status in _REFUSED:
            return (
                f"Temporal at {self.address} refuses access to the namespace "
                f"{self.namespace!r} ({error.status.name}); check TEMPORAL_API_KEY, or the "
                "certificate that TEMPORAL_TLS_CLIENT_CERT_PATH names."
            )
        return (
            f"Temporal at {self.address} does not answer ({error.status.name}: "
            f"{innermost(error.message)}); check {self.named_by}."
        )


def _tls_environment(tls: bool | TLSConfig | None) -> Mapping[str, str | None]:
    if tls is None:
        return {}
    if isinstance(tls, bool):
        return {} if tls else {"TEMPORAL_TLS": "false"}  # with a key it is there by itself
    data = {
        "SERVER_CA_CERT_DATA": tls.server_root_ca_cert,
        "CLIENT_CERT_DATA": tls.client_cert,
        "CLIENT_KEY_DATA": tls.client_private_key,
    }
    return {
        "TEMPORAL_TLS": "true",
        "TEMPORAL_TLS_SERVER_NAME": tls.domain,
        **{f"TEMPORAL_TLS_{name}": pem.decode() for name, pem in data.items() if pem},
    }


def innermost(text: str) -> str:
    """The cause of an error of the SDK's transport, which quotes every layer above it."""
    found = _CERTIFICATE.findall(text) or _QUOTED.findall(text) or _NAMED.findall(text)
    return str(found[-1]) if found else " ".join(text.split())[:_LONGEST_REASON]


@dataclass
class ExternalCluster:
    """A stack's share of the cluster: everything whose name begins with `prefix`."""

    connection: Connection
    prefix: str
    journal: Journal
    execution_timeout: timedelta | None = EXECUTION_TIMEOUT
    _client: Client | None = None

    @property
    def address(self) -> str:
        """`host:port`."""
        return self.connection.address

    @property
    def namespace(self) -> str:
        """The namespace of the stack's workflows."""
        return self.connection.namespace

    @property
    def worker_environment(self) -> Mapping[str, str]:
        """The variables by which a worker finds it."""
        return self.connection.environment

    async def start(self) -> None:
        """Wait until its namespace answers; nothing is started."""
        await wait_until(
            lambda: answers(self),
            what=f"Temporal at {self.address} answers",
            deadline_seconds=READY_DEADLINE_SECONDS,
        )
        self._client = await self.connect()

    async def connect(self) -> Client:
        """A client with a connection of its own."""
        return await self.connection.connect()

    async def discard(self, workflow_ids: Sequence[str]) -> None:
        """Terminate the stack's workflows; the cluster stays as it is."""
        client = self._client
        if client is not None:
            await asyncio.gather(*(self._end(client, each) for each in workflow_ids))

    async def _end(self, client: Client, workflow_id: str) -> None:
        try:
            await client.get_workflow_handle(workflow_id).terminate(
                reason="the chaos run that started it is over", rpc_timeout=_PATIENCE
            )
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:  # it has ended by itself
                self.journal.add(
                    Event.STAGE,
                    f"{workflow_id} could not be terminated ({error.status.name}); it times out "
                    f"within {EXECUTION_TIMEOUT}",
                )


@dataclass(frozen=True)
class ExternalFactory:
    """Makes each stack's share of a cluster."""

    connection: Connection
    run: str
    """The beginning that all prefixes of this run share, and those of no other run."""
    topology: Topology = Topology.EXTERNAL

    @classmethod
    def for_run(cls, connection: Connection, run_id: str) -> ExternalFactory:
        """The run's id is its time, and another machine may start a run at the same time."""
        return cls(connection, f"chaos-{run_id}-{secrets.token_hex(3)}")

    async def make(self, spec: StackSpec, processes: ProcessFactory) -> ExternalCluster:
        """The share of one stack. Raises ChildError if the cluster would have to be configured."""
        spec.require_free(self.topology)
        if spec.dynamic_config or not spec.persistent:
            raise ChildError("an external cluster cannot be configured for one case.")
        return ExternalCluster(self.connection, f"{self.run}-{processes.name}-", processes.journal)


def _first_line(error: Exception) -> str:
    """Short, and without the lines of a file that an error may quote."""
    return str(error).partition("\n")[0][:_LONGEST_REASON]

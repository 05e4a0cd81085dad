"""The ways that lead from a stack's workers to its Temporal and its services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from temporalio.client import Client
from temporalio.envconfig import ClientConfig

from chaos.environment.factory import ProcessFactory
from chaos.environment.packets import why_no_packets
from chaos.environment.target import ServiceProcess
from chaos.environment.temporal import Temporal, add_namespace, connect
from chaos.environment.wire import (
    CLIENT,
    EVERYBODY,
    SERVER,
    Line,
    Link,
    WireServer,
    line_name,
    link_name,
    plain,
    upstream_of,
)
from chaos.process.ports import Port
from chaos.wire.specs import Protocol, Upstream


class NotHereError(Exception):
    """A stack has no such part. The sentence says which, and how to get it."""


@dataclass(frozen=True)
class Way:
    """How a client reaches what it speaks to: `addresses` by what is there (`SERVER`, a service),
    if these are not the real ones. A client on the wire has a `line` to the server. What begins the
    command line of one in a network of its own is `entering`.
    """

    addresses: Mapping[str, str] = field(default_factory=dict)
    line: Line | None = None
    entering: Sequence[str] = ()

    def over(self, environment: Mapping[str, str], services: Mapping[str, str]) -> dict[str, str]:
        """An environment with it; `services` are the variables of the services there."""
        known = plain(environment) if self.line else dict(environment)
        server = {"TEMPORAL_ADDRESS": self.addresses[SERVER]} if SERVER in self.addresses else {}
        return {**known, **server, **services}


@dataclass
class Ways:
    """All ways of a stack. Workers that connect to one fixed port have the port `fixed`; with
    `fixed_port` it belongs to the wire.
    """

    processes: ProcessFactory
    evidence: Path
    services: Mapping[str, ServiceProcess]
    fixed: int | None = None
    fixed_port: Port | None = None
    wire: WireServer | None = field(default=None, init=False)

    def _server(self) -> WireServer:
        """The process, which begins with its first line."""
        if self.wire is None:
            self.wire = WireServer.below(self.processes, self.evidence)
        return self.wire

    async def linked(self, temporal: Temporal, client: str, links: Sequence[str]) -> Way:
        """Open a client's links."""
        if SERVER in links and self.fixed and not self.fixed_port:
            raise NotHereError(
                f"workers that connect only to localhost:{self.fixed} cannot reach the server "
                "through a link."
            )
        upstreams = self._real(temporal)
        opened: dict[str, Link] = {}
        for end in links:
            if end not in upstreams:
                raise NotHereError(f"this stack has no {end!r} that a link could lead to.")
            name = link_name(client, end)
            opened[end] = await self._server().open_link(name, upstreams[end])
        return Way({end: link.address for end, link in opened.items()})

    async def on_wire(self, temporal: Temporal, client: str, way: Way, namespace: str = "") -> Way:
        """Put lines of a client before the server, in the given namespace if any, and before each
        service that speaks HTTP; behind them is its way.
        """
        if self.fixed and not self.fixed_port:
            raise NotHereError(
                f"workers that connect only to localhost:{self.fixed} can use the wire if the "
                "stack's server leaves them that port: stack=StackSpec(wire=True)."
            )
        if namespace:
            await self._add(temporal, namespace)
        ends = {**self._real(temporal), **way.addresses}
        upstream = upstream_of(
            ends[SERVER], temporal.worker_environment, self.processes.scratch / "tls"
        )
        line = await self._server().open(
            EVERYBODY if self.fixed_port else client,
            upstream,
            namespace=namespace,
            port=self.fixed_port,
        )
        if line.spec.namespace != namespace:
            raise NotHereError(
                f"workers that connect only to localhost:{self.fixed} share one line, which leads "
                "to one namespace."
            )
        opened = {SERVER: line}
        for name, service in self.services.items():
            if service.service.is_on_wire:
                opened[name] = await self._server().open(
                    line_name(client, name),
                    Upstream(address=ends[name]),
                    protocol=Protocol.HTTP,
                )
        addresses = {end: each.port.address for end, each in opened.items()}
        return Way({**way.addresses, **addresses}, line)

    async def client_on_wire(self, temporal: Temporal) -> Client:
        """A client of the harness behind a line of its own, `CLIENT`. Raises ChildError, WireError
        and RuntimeError.
        """
        environment = temporal.worker_environment
        upstream = upstream_of(temporal.address, environment, self.processes.scratch / "tls")
        line = await self._server().open(CLIENT, upstream)
        own = {**plain(environment), "TEMPORAL_ADDRESS": line.port.address}
        options = dict(
            ClientConfig.load_client_connect_config(disable_file=True, override_env_vars=own)
        )
        return await connect(str(options.pop("target_host")), **options)

    async def in_own_network(self, temporal: Temporal, client: str, way: Way) -> Way:
        """Put a network of a client's own before its way to the server and all services."""
        if self.fixed:
            raise NotHereError(
                f"workers that connect only to localhost:{self.fixed} cannot be in a network of "
                "their own, where that is another place."
            )
        if why := why_no_packets():
            raise NotHereError(f"no packets can be lost here: {why}.")
        upstreams = {
            link_name(client, end): address
            for end, address in {**self._real(temporal), **way.addresses}.items()
        }
        private = await self._server().open_packets(client, upstreams)
        addresses = {link.partition(">")[2]: address for link, address in private.addresses.items()}
        return Way(addresses, way.line, private.entering)

    async def discard(self) -> None:
        """End all lines."""
        try:
            if self.wire:
                await self.wire.discard()
        finally:
            if self.fixed_port:
                self.fixed_port.release()

    def _real(self, temporal: Temporal) -> dict[str, str]:
        """The addresses of the server and all services."""
        services = {name: service.port.address for name, service in self.services.items()}
        return {SERVER: temporal.address, **services}

    async def _add(self, temporal: Temporal, namespace: str) -> None:
        if temporal.prefix:
            raise NotHereError("no namespace is created for a line on an external cluster.")
        await add_namespace(temporal, namespace)

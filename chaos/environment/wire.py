"""The lines of a stack: one process between its workers and everything that they call."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psutil

from chaos.environment.factory import ProcessFactory
from chaos.evidence.files import write_file
from chaos.network.packets import Harm
from chaos.process.child import Child
from chaos.process.ports import Port
from chaos.wire.control import Network, Wire
from chaos.wire.journal import Polled
from chaos.wire.specs import LineSpec, Protocol, Upstream, WireError

READY_DEADLINE_SECONDS = 30.0

SERVER = "server"
"""What a line or a link leads to: Temporal, or a service by its name."""

EVERYBODY = "workers"
"""The line that all workers with a fixed address share."""

CLIENT = "client"
"""The line of the harness's own client, where that is to be limited with the workers."""

_TLS = "TEMPORAL_TLS"
_FILES = {
    "ca_file": f"{_TLS}_SERVER_CA_CERT_DATA",
    "certificate_file": f"{_TLS}_CLIENT_CERT_DATA",
    "key_file": f"{_TLS}_CLIENT_KEY_DATA",
}


def link_name(client: str, upstream: str) -> str:
    """The name of a link in the journal: `worker-1>server`."""
    return f"{client}>{upstream}"


def line_name(client: str, end: str) -> str:
    """The name of a client's line: `worker-1` to the server, else `worker-1>payments`."""
    return client if end == SERVER else link_name(client, end)


def link_of(line: str) -> str:
    """The name of a line in the journal when a fault is at it: `worker-1>server`."""
    return line if ">" in line else link_name(line, SERVER)


def upstream_of(address: str, environment: Mapping[str, str], folder: Path) -> Upstream:
    """The way to Temporal at an address, by a worker's own variables; what has to be in files for
    that is put into the folder, for this user's eyes only.
    """
    is_on = environment.get(_TLS, "true" if environment.get("TEMPORAL_API_KEY") else "false")
    if is_on != "true":
        return Upstream(address=address)
    files = {}
    for name, variable in _FILES.items():
        if data := environment.get(variable):
            files[name] = str(_kept(folder / f"{name}.pem", data))
    known = environment.get(f"{_TLS}_SERVER_NAME", "")
    real = environment["TEMPORAL_ADDRESS"].rpartition(":")[0]
    name = known or ("" if address == environment["TEMPORAL_ADDRESS"] else real)
    return Upstream(address=address, tls=True, server_name=name, **files)


def plain(environment: Mapping[str, str]) -> dict[str, str]:
    """The same for a worker that speaks to a line, which has no TLS. With an API key there would be
    TLS unless it is refused.
    """
    found = {name: value for name, value in environment.items() if not name.startswith(_TLS)}
    return {**found, **({_TLS: "false"} if "TEMPORAL_API_KEY" in found else {})}


def _kept(file: Path, data: str) -> Path:
    file.parent.mkdir(mode=0o700, exist_ok=True)
    write_file(file, data)
    return file


@dataclass
class Line:
    """An open line, and what has polled over it."""

    spec: LineSpec
    port: Port
    wire: Wire
    _owners: dict[int, int] = field(default_factory=dict, init=False)

    @property
    def name(self) -> str:
        """Its own in the stack."""
        return self.spec.name

    def polled(
        self, since: datetime | None = None, pids: Callable[[], Sequence[int]] | None = None
    ) -> list[Polled]:
        """What has polled over it since; if others share it, only these processes."""
        found = [poll for poll in self.wire.polls(self.name) if not since or poll.at >= since]
        if pids is None:
            return found
        own = pids()
        return [poll for poll in found if self.owner(poll.peer, own) is not None]

    def owner(self, peer: int, pids: Sequence[int]) -> int | None:
        """Which of these processes has, or had when it was last seen, the end of a connection that
        came from that port; None where none of them has.
        """
        if self._owners.get(peer) not in pids:
            found = next((pid for pid in pids if peer in _own_ports(pid, self.port.number)), None)
            if found is None:
                return None
            self._owners[peer] = found
        return self._owners[peer]


def _own_ports(pid: int, to: int) -> Sequence[int]:
    """Those of this machine from which a process is connected to that one."""
    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return ()
    return [
        each.laddr.port
        for each in connections
        if each.status == psutil.CONN_ESTABLISHED and each.raddr.port == to
    ]


@dataclass
class Link:
    """A line of TCP, on which the `network` can be made bad."""

    port: Port
    network: Network

    @property
    def address(self) -> str:
        """The address that the client uses instead of the server's."""
        return self.port.address


@dataclass(frozen=True)
class PrivateLinks:
    """The network of one client's own: how a command line begins that is to run in it, and the
    addresses there, by the names of the links.
    """

    entering: tuple[str, ...]
    addresses: Mapping[str, str]
    wire: Wire

    async def harm(self, link: str, harm: Harm) -> None:
        """Have packets of a link lost, damaged or reordered from now on. Raises WireError."""
        await self.wire.send("harm", link=link, harm=harm.model_dump(mode="json"))

    async def spare(self, link: str) -> None:
        """Let all of them pass again. Raises WireError."""
        await self.wire.send("spare", link=link)


@dataclass
class WireServer:
    """The process, begun when the first line is opened, and its client. `lines` are those that are
    open, by their names, and `links` those of TCP; `private` are the networks of clients' own.
    """

    child: Child
    control_port: Port
    lines: dict[str, Line] = field(default_factory=dict, init=False)
    links: dict[str, Link] = field(default_factory=dict, init=False)
    private: dict[str, PrivateLinks] = field(default_factory=dict, init=False)
    _wire: Wire | None = field(default=None, init=False)
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    @classmethod
    def below(cls, processes: ProcessFactory, evidence: Path) -> WireServer:
        """One whose journals are kept with the evidence; it does not run yet."""
        control_port = Port()
        argv = [
            *(sys.executable, "-m", "chaos.wire"),
            *("--control", str(control_port.number), "--case", str(evidence)),
        ]
        return cls(processes.child("wire", argv), control_port)

    @property
    def wire(self) -> Wire:
        """Its client. Raises WireError where the process was not started."""
        if self._wire is None:
            raise WireError("no worker of this stack is on the wire: start one with wire=True.")
        return self._wire

    async def open(
        self,
        name: str,
        upstream: Upstream,
        *,
        protocol: Protocol = Protocol.GRPC,
        namespace: str = "",
        port: Port | None = None,
    ) -> Line:
        """A line of that name, at a port of its own where none is given; one that is open already
        is that. Raises ChildError, WireError.
        """
        async with self._starting:
            if name not in self.lines:
                wire = await self._started()
                held = port or Port()
                spec = LineSpec(
                    name=name,
                    port=held.number,
                    protocol=protocol,
                    upstream=upstream,
                    namespace=namespace,
                )
                self.lines[name] = Line(spec, held, wire)
                await wire.open(spec)
            return self.lines[name]

    async def open_link(self, name: str, address: str) -> Link:
        """A line of TCP to that address. Raises ChildError, WireError."""
        async with self._starting:
            wire = await self._started()
            port = Port()
            self.links[name] = Link(port, Network(wire, name))
            upstream = Upstream(address=address)
            await wire.open(
                LineSpec(name=name, port=port.number, protocol=Protocol.TCP, upstream=upstream)
            )
            return self.links[name]

    async def open_packets(self, client: str, upstreams: Mapping[str, str]) -> PrivateLinks:
        """A client's own network, with links to these. Raises ChildError, WireError."""
        async with self._starting:
            wire = await self._started()
            made = await wire.send("open_packets", client=client, links=dict(upstreams))
            found = PrivateLinks(tuple(made["entering"]), made["addresses"], wire)
            self.private[client] = found
            return found

    async def discard(self) -> None:
        """End it at the end of a run."""
        if self._wire:
            await self._wire.aclose()
        await self.child.discard()
        self.control_port.release()
        for line in self.lines.values():
            line.port.release()
        for link in self.links.values():
            link.port.release()

    async def _started(self) -> Wire:
        if self._wire is None:
            await self.child.start_ready(
                self._is_connected,
                what="the wire answers",
                deadline_seconds=READY_DEADLINE_SECONDS,
            )
        return self.wire

    async def _is_connected(self) -> bool:
        """Keep the one connection: the process ends with it."""
        try:
            self._wire = await Wire.connect(self.control_port.number)
        except WireError:
            return False
        return True

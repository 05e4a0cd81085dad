"""The suite's TCP proxy before a server, a process of its own; its journal is evidence."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from chaos.environment.factory import ProcessFactory
from chaos.network.control import Network
from chaos.process.child import Child
from chaos.process.ports import Port

READY_DEADLINE_SECONDS = 30.0

SERVER = "server"
"""What a link leads to: Temporal, or a service by its name."""


def link_name(client: str, upstream: str) -> str:
    """How a link is called in the journal: `worker-1>server`."""
    return f"{client}>{upstream}"


def journal_name(link: str) -> str:
    """The file of a link's journal in the evidence's folder `network`."""
    return f"{link.replace('>', '-to-')}.jsonl"


@dataclass
class ProxyServer:
    """One link from a client to `upstream` (`host:port`): what passes it can be made bad."""

    child: Child
    port: Port
    control_port: Port
    network: Network

    @classmethod
    def before(
        cls, processes: ProcessFactory, link: str, upstream: str, journals: Path, seed: int = 0
    ) -> Self:
        """A proxy of that link; it does not run yet."""
        port, control_port = Port(), Port()
        argv = [
            *(sys.executable, "-m", "chaos.network"),
            *("--listen", str(port.number), "--upstream", upstream),
            *("--control", str(control_port.number), "--seed", str(seed)),
            *("--journal", str(journals / journal_name(link))),
        ]
        child = processes.child(f"proxy-{link.replace('>', '-to-')}", argv)
        return cls(child, port, control_port, Network(f"http://{control_port.address}"))

    @property
    def address(self) -> str:
        """Where the client goes instead of the server."""
        return self.port.address

    async def start(self) -> None:
        """Start it and wait until it answers. Raises ChildError."""
        await self.child.start_ready(
            self.network.health,
            what=f"{self.child.name} answers",
            deadline_seconds=READY_DEADLINE_SECONDS,
        )

    async def discard(self) -> None:
        """End it at the end of a run."""
        await self.network.aclose()
        await self.child.discard()
        self.port.release()
        self.control_port.release()

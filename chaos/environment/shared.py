"""One Temporal for many stacks, each in a namespace of its own.

A case whose fault does not hit the server needs no server of its own, whose process, start and
memory would be most of its cost. A case sees only its namespace, and its evidence comes from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from temporalio.client import Client

from chaos.environment.factory import ProcessFactory
from chaos.environment.temporal import (
    READY_DEADLINE_SECONDS,
    StackSpec,
    Temporal,
    TemporalFactory,
    Topology,
    answers,
    register,
)
from chaos.evidence.journal import Entry, Event, Journal
from chaos.process.waiting import wait_until

FOLDER = "shared"
"""Prefix of the folders of a run's shared servers, each with a journal and logs."""

GUESTS_AT_ONCE = 4
"""Stacks per server. Schedulers share processors among sessions: one server for a dozen stacks got
so little time that its own calls missed their deadlines, and tasks were lost.
"""


@dataclass
class Guests:
    """The journals of the stacks that share a server now, by namespace."""

    journals: dict[str, Journal] = field(default_factory=dict)
    is_whole: bool = True

    def tell(self, entry: Entry) -> None:
        """Record in their journals that a process of their server has ended."""
        if entry.event is Event.EXITED:
            self.is_whole = False
            for journal in tuple(self.journals.values()):  # it is told by another thread
                journal.add(
                    Event.EXITED, target=entry.target, pid=entry.pid, exit_code=entry.exit_code
                )


@dataclass
class Guest:
    """A stack's share of a server: its namespace."""

    host: Temporal
    guests: Guests
    namespace: str
    journal: Journal
    prefix: str = ""
    execution_timeout: timedelta | None = None

    @property
    def address(self) -> str:
        """`host:port`."""
        return self.host.address

    @property
    def worker_environment(self) -> Mapping[str, str]:
        """How a worker finds it."""
        return {**self.host.worker_environment, "TEMPORAL_NAMESPACE": self.namespace}

    async def start(self) -> None:
        """Create the namespace and wait until it answers; the server runs already."""
        await wait_until(
            self._is_there,
            what=f"the namespace {self.namespace} answers",
            deadline_seconds=READY_DEADLINE_SECONDS,
        )
        self.journal.add(Event.STAGE, f"shares {self.address}, namespace {self.namespace}")

    async def _is_there(self) -> bool:
        return await register(self.host, self.namespace) and await answers(self)

    async def connect(self) -> Client:
        """A client with a connection of its own."""
        config = (await self.host.connect()).config()
        config["namespace"] = self.namespace
        return Client(**config)

    async def discard(self, workflow_ids: Sequence[str] = ()) -> None:
        """Leave the server. Its open workflows have no worker, and end with the server."""
        del workflow_ids
        self.guests.journals.pop(self.namespace, None)


@dataclass
class SharingFactory:
    """Makes a share of a server for each stack that may share one, and uses `factory` for others.
    Shared servers keep their data in memory, temporary files in `scratch`, and logs in `folder`.
    Use it by `async with`; it leaves no process behind.
    """

    factory: TemporalFactory
    run_tag: str
    scratch: Path
    folder: Path
    _hosts: list[tuple[Temporal, Guests]] = field(default_factory=list)
    _finding: asyncio.Lock = field(default_factory=asyncio.Lock)
    _cleanup: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def topology(self) -> Topology:
        """Where it runs."""
        return self.factory.topology

    async def make(self, spec: StackSpec, processes: ProcessFactory) -> Temporal:
        """One for a stack. Raises ChildError."""
        if not spec.shares_server:
            return await self.factory.make(spec, processes)
        async with self._finding:
            host, guests = await self._host()
            guests.journals[processes.name] = processes.journal
        return Guest(host, guests, processes.name, processes.journal)

    async def _host(self) -> tuple[Temporal, Guests]:
        """A server with room. One that has lost a process gets no more stacks."""
        for host, guests in self._hosts:
            if guests.is_whole and len(guests.journals) < GUESTS_AT_ONCE:
                return host, guests
        guests = Guests()
        name = f"{FOLDER}-{len(self._hosts) + 1}"
        logs = self.folder / name
        journal = Journal(logs / "journal.jsonl", guests.tell)
        self._cleanup.callback(journal.close)
        scratch = self.scratch / name
        scratch.mkdir()
        processes = ProcessFactory(self.run_tag, scratch, logs, journal, name)
        host = await self.factory.make(StackSpec(persistent=False), processes)
        self._cleanup.push_async_callback(host.discard, ())
        await host.start()
        self._hosts.append((host, guests))
        return host, guests

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._cleanup.aclose()

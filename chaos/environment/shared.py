"""One Temporal for many stacks, each in a namespace of its own.

A case whose fault is not the server's needs a server, but not one of its own: its process, its
start and its memory are what such a case costs most. What a case can see is in its namespace, and
its evidence is taken from there as ever.
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
"""What the folders of a run's shared servers begin with, each with a journal and logs."""

GUESTS_AT_ONCE = 4
"""On one server. Schedulers share processors out among sessions: one server for a dozen guests got
so little of them that its own calls ran into their deadlines, and tasks were lost.
"""


@dataclass
class Guests:
    """The journals of the stacks that share a server now, by namespace."""

    journals: dict[str, Journal] = field(default_factory=dict)
    is_whole: bool = True

    def tell(self, entry: Entry) -> None:
        """Tell them where a process of their server has ended, whatever that has cost them."""
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
        """Make the namespace and wait until it answers: the server runs already."""
        await wait_until(
            self._is_there,
            what=f"the namespace {self.namespace} answers",
            deadline_seconds=READY_DEADLINE_SECONDS,
        )
        self.journal.add(Event.STAGE, f"shares {self.address}, namespace {self.namespace}")

    async def _is_there(self) -> bool:
        return await register(self.host, self.namespace) and await answers(self)

    async def connect(self) -> Client:
        """A client of its own connection."""
        config = (await self.host.connect()).config()
        config["namespace"] = self.namespace
        return Client(**config)

    async def discard(self, workflow_ids: Sequence[str] = ()) -> None:
        """Leave. What is still open there has no worker any more, and ends with the server."""
        del workflow_ids
        self.guests.journals.pop(self.namespace, None)


@dataclass
class SharingFactory:
    """Makes a share of a server for each stack that may have one; what `factory` makes, for others.

    The shared ones keep their data in memory, what they need for a while in `scratch`, and their
    words in `folder`. Use it by `async with`; it leaves no process behind.
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
        """One with room. Nobody comes to one that has lost a process."""
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

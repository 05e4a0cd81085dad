"""A worker process of a target, and how it is known to be ready."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

from temporalio.client import Client

from chaos.environment.readiness import (
    Arrival,
    LogLine,
    OpenPort,
    Poller,
    Polls,
    Whose,
    claim,
    is_connected,
    noted,
    pollers_of,
    tree_of,
    whose,
)
from chaos.environment.wire import EVERYBODY, Line
from chaos.evidence.assertions import put_aside
from chaos.process.child import Child, ChildError
from chaos.process.ports import is_open
from chaos.process.waiting import DeadlineExceededError

READY_DEADLINE_SECONDS = 30.0

Ready = Polls | LogLine | OpenPort | Callable[["WorkerProcess"], Awaitable[bool]]
"""When a worker is ready: by its pollers, a line of its log, a port, or a function that is polled.
"""


@dataclass(frozen=True)
class WorkerKind:
    """One kind of a target's workers: its command line `argv`, its `task_queue`, when it is `ready`
    and what its environment has beside the target's own `settings`. All may hold what the target's
    may.
    """

    argv: Sequence[str]
    task_queue: str
    ready: Ready = field(default_factory=Polls)
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass
class WorkerProcess:
    """A worker, the task queue where it can be seen to listen, and when it is ready.

    `queues` are the others where it must be seen. `arrivals` are the workers of the same stack that
    are starting now; the server listens at `server_port`. One on the wire is seen to poll by its
    own `line`, and the server is not asked. What it asserts of itself goes to the file
    `assertions`.
    """

    child: Child
    task_queue: str
    ready: Ready = field(default_factory=Polls)
    queues: Sequence[str] = ()
    arrivals: list[Arrival] = field(default_factory=list)
    server_port: int = 0
    line: Line | None = None
    assertions: Path | None = None

    @property
    def pids(self) -> Sequence[int]:
        """The processes that it is made of."""
        return tree_of(self.child.pid)

    async def start(self, client: Client) -> None:
        """Start it and wait until it is ready. Raises ChildError, DeadlineExceededError."""
        queues = (self.task_queue, *self.queues)
        if isinstance(self.ready, OpenPort) and await is_open(self.ready.number):
            raise ChildError(
                f"port {self.ready.number}, which shows that {self.child.name} is ready, is "
                "already in use: end the program that listens there, or choose another port."
            )
        if self.assertions:
            put_aside(self.assertions)
        arrival = self._on_line() if self.line else await self._by_server(client, queues)
        log_end = self.child.log.stat().st_size if self.child.log.exists() else 0
        polls = self.ready if isinstance(self.ready, Polls) else Polls()
        try:
            with _arriving(arrival, self.arrivals, is_sure=self.line is not None):
                await self.child.start_ready(
                    partial(self._is_ready, client, arrival, log_end),
                    what=f"{self.child.name} {self._what(queues)}",
                    deadline_seconds=READY_DEADLINE_SECONDS,
                    identities=lambda: arrival.identities,
                )
        except DeadlineExceededError as error:
            if not isinstance(self.ready, Polls):
                raise
            why = arrival.reasons(polls, queues)
            raise DeadlineExceededError(f"{error} {why}{self._others(arrival)}") from None

    async def _by_server(self, client: Client, queues: Sequence[str]) -> Arrival:
        """As the server reports pollers: what polled before the start is not this worker's."""
        before = await pollers_of(client, queues)
        return Arrival(
            dict(noted(before or ())),
            self._knower(),
            self._is_connected,
            unseen_until=datetime.now(UTC) if before is None else None,
        )

    def _on_line(self) -> Arrival:
        """By the wire: polls over its line from its own processes are its own."""
        return Arrival({}, lambda _: Whose.OWN, lambda: True, begun_at=datetime.now(UTC))

    async def _pollers(
        self, client: Client, arrival: Arrival, queues: Sequence[str]
    ) -> Sequence[Poller] | None:
        if self.line is None or arrival.begun_at is None:
            return await pollers_of(client, queues)
        # A line that all share tells whose a poll is only by the connection that it came over.
        pids = (lambda: self.pids) if self.line.name == EVERYBODY else None
        return [
            Poller(poll.queue, poll.kind, poll.identity, "", poll.at)
            for poll in self.line.polled(arrival.begun_at, pids)
        ]

    def _others(self, arrival: Arrival) -> str:
        """Polls over its line that do not count."""
        if self.line is None:
            return ""
        counted = {(each.identity, each.last_access) for each in arrival.pollers}
        told = [
            f" On its line, {poll.identity} polled {poll.queue} for {poll.kind} tasks; that was "
            "before the start, or by another process."
            for poll in self.line.polled()
            if (poll.identity, poll.at) not in counted
        ]
        return "".join(told)

    async def _is_ready(self, client: Client, arrival: Arrival, log_end: int) -> bool:
        queues = (self.task_queue, *self.queues)
        if isinstance(self.ready, Polls):
            found = await self._pollers(client, arrival, queues)
            if found is None:
                return False
            settled = arrival.look(found, time.monotonic())
            return self.ready.are_met(arrival.counting(), queues, settled=settled)
        if isinstance(self.ready, LogLine):
            is_ready = self.ready.is_in(self.child.log, log_end)
        elif isinstance(self.ready, OpenPort):
            is_ready = await is_open(self.ready.number)
        else:
            is_ready = await self.ready(self)
        if is_ready:  # for the journal: under which names it polls
            found = await self._pollers(client, arrival, queues)
            arrival.look(found or (), time.monotonic())
        return is_ready

    def _what(self, queues: Sequence[str]) -> str:
        if isinstance(self.ready, LogLine):
            return f"logs a line that matches {self.ready.pattern!r}"
        if isinstance(self.ready, OpenPort):
            return f"listens on port {self.ready.number}"
        return f"polls {' and '.join(queues)}" if isinstance(self.ready, Polls) else "is ready"

    def _knower(self) -> Callable[[str], Whose]:
        """Finds out to which process an identity belongs, and remembers it."""
        return cache(lambda identity: whose(identity, self.child.pid))

    def _is_connected(self) -> bool:
        return is_connected(self.child.pid, self.server_port)


@contextmanager
def _arriving(arrival: Arrival, arrivals: list[Arrival], *, is_sure: bool) -> Iterator[None]:
    """While a worker starts. When it is ready, its pollers are not those of other workers. One that
    `is_sure` which pollers are its own is not affected by the others.
    """
    for other in arrivals:
        other.is_alone = arrival.is_alone = False
    if not is_sure:
        arrivals.append(arrival)
    try:
        yield
    finally:
        if not is_sure:
            arrivals.remove(arrival)
        claim(arrival.counting(), arrivals)


async def polls(client: Client, task_queue: str, pid: int) -> bool:
    """Whether the server sees a process poll a queue, under the SDK's own identity, for both kinds
    of task.
    """
    found = await pollers_of(client, [task_queue]) or ()
    # The SDK's identity is pid@host.
    own = [poller for poller in found if poller.identity.startswith(f"{pid}@")]
    return Polls(("workflow", "activity")).are_met(own, [task_queue], settled=False)

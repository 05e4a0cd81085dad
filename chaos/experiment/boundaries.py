"""Breakpoints of an experiment, and what it does with the calls that they hold."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import psutil

from chaos.environment.stack import NotHereError, Stack
from chaos.environment.supervisor import SupervisorProcess
from chaos.environment.wire import EVERYBODY, link_of
from chaos.evidence.journal import Event, Journal
from chaos.process.child import ChildError
from chaos.process.waiting import DeadlineExceededError, within
from chaos.wire.boundary import Boundary
from chaos.wire.control import Breakpoint
from chaos.wire.journal import Called, client_of, read_wire
from chaos.wire.specs import Decision, Passage, WireError

MOST_TOLD = 12
"""How many of the boundaries that were seen an error names."""

GONE_SECONDS = 60.0

_AT_ONCE_SECONDS = 0.01
"""How long the client may take to deliver a passage that it has received."""


class Worker(Protocol):
    """The process that made a call, by its name in the journal."""

    @property
    def name(self) -> str:
        """Its name in the journal."""

    @property
    def pid(self) -> int:
        """Its own."""

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, which is journaled."""

    async def until_ended(self) -> None:
        """Wait until it has ended."""


@dataclass(frozen=True)
class Kept:
    """A worker of a target's own supervisor."""

    supervisor: SupervisorProcess
    pid: int

    @property
    def name(self) -> str:
        """They share one."""
        return self.supervisor.target

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.supervisor.send(self.pid, number)

    async def until_ended(self) -> None:
        """Wait until it has ended, and the journal has its end."""
        await self.supervisor.until_gone([self.pid])


def worker_of(stack: Stack, passage: Passage) -> Worker:
    """The worker whose call is held. Raises NotHereError if that process has ended."""
    client, line = client_of(passage.line), stack.wire.lines[passage.line]
    for worker in stack.workers:
        if worker.child.name == client:
            return worker.child
    for supervisor in stack.supervisors:
        if isinstance(supervisor, SupervisorProcess) and client in {supervisor.name, EVERYBODY}:
            pid = line.owner(passage.peer, supervisor.pids)
            if pid:
                return Kept(supervisor, pid)
    for worker in stack.workers:
        if client == EVERYBODY and line.owner(passage.peer, worker.pids):
            return worker.child
    raise NotHereError(f"the worker whose call is held on the line {passage.line} has ended.")


@dataclass
class Hit:
    """A call at a boundary, held until the experiment decides on it; at `delivered` the worker has
    the task, and its report is held. Each decision is journaled as a fault of the `target`: the
    worker, or its line, such as `worker-1>server`.
    """

    stack: Stack
    journal: Journal
    passage: Passage
    workflow_id: str = ""
    target: str = field(default="", init=False)
    _paused: Worker | None = field(default=None, init=False)
    _is_decided: bool = field(default=False, init=False)

    @property
    def boundary(self) -> Boundary:
        """The boundary."""
        return self.passage.crossing.boundary

    @property
    def is_held(self) -> bool:
        """Whether no decision was made yet."""
        return not self._is_decided

    @property
    def worker(self) -> Worker:
        """The worker that made the call. Raises NotHereError if that process has ended."""
        return worker_of(self.stack, self.passage)

    async def kill(self) -> None:
        """SIGKILL to the worker and everything that its command line started; wait until it has
        ended. Its unsent reports and undelivered replies are lost with it.
        """
        worker = self.worker
        self._tell("kill", worker)
        worker.send(signal.SIGKILL)
        async with within(f"{worker.name} ends", GONE_SECONDS):
            await worker.until_ended()
        with contextlib.suppress(WireError):  # the call has gone with its worker
            await self._decide(Decision.DROP)

    def pause(self) -> None:
        """SIGSTOP to the worker, whose call stays held until `resume_worker`."""
        worker = self._paused = self.worker
        self._tell("pause", worker)
        worker.send(signal.SIGSTOP)

    async def resume_worker(self) -> None:
        """SIGCONT to a paused worker; its call continues."""
        worker, self._paused = self._paused, None
        if worker is None:
            return
        with contextlib.suppress(ChildError, psutil.NoSuchProcess):  # it is gone
            worker.send(signal.SIGCONT)
        self._healed()
        await self.resume()

    async def drop(self) -> None:
        """Break the connection: a request never arrives, a reply never reaches the worker."""
        await self._break("drop", Decision.DROP)

    async def silence(self) -> None:
        """As `drop`, but the worker gets no answer until its own deadline."""
        await self._break("silence", Decision.SILENCE)

    async def fail(self, status: str) -> None:
        """Answer the worker with that status of gRPC, such as `UNAVAILABLE`, or of HTTP."""
        await self._break("fail", status)

    async def delay(self, seconds: float) -> None:
        """Let the call continue after that time."""
        self._tell("delay")
        await asyncio.sleep(seconds)  # the fault lasts so long
        await self._decide(Decision.RESUME)
        self._healed()

    async def resume(self) -> None:
        """Let the call continue as if nothing had happened; no effect after another decision."""
        with contextlib.suppress(WireError):  # whoever made the call is gone, and so is this
            await self._decide(Decision.RESUME)

    async def release(self) -> None:
        """At the end of the experiment: let the worker and its call continue in any case."""
        await self.resume_worker()
        await self.resume()

    async def _break(self, kind: str, decision: str) -> None:
        self._tell(kind)
        await self._decide(decision)
        self._healed()

    async def _decide(self, decision: str) -> None:
        if self.is_held:
            self._is_decided = True
            await self.stack.wire.wire.decide(self.passage, decision)

    def _tell(self, kind: str, worker: Worker | None = None) -> None:
        target = worker.name if worker else link_of(self.passage.line)
        self.target = target
        self.journal.add(
            Event.FAULT,
            f"{kind} at {self.boundary} of {self.workflow_id or self.passage.line}",
            kind=kind,
            target=target,
            pid=worker.pid if worker else None,
            workflow_id=self.workflow_id or None,
            boundary=str(self.boundary),
            passage=self.passage.number,
        )

    def _healed(self) -> None:
        self.journal.add(Event.HEALED, f"{self.target} is healed", target=self.target)


@dataclass
class BoundaryWatch:
    """A breakpoint of an experiment, set until it is removed or the experiment is over."""

    stack: Stack
    journal: Journal
    breakpoint: Breakpoint
    deadline_seconds: float
    workflow_id: str = ""
    _hits: list[Hit] = field(default_factory=list, init=False)

    async def reached(self) -> Hit:
        """Wait for the next call there. Raises DeadlineExceededError, which names the boundaries
        that were seen instead.
        """
        boundary = self.breakpoint.spec.boundary
        of = f" of {self.workflow_id}" if self.workflow_id else ""
        try:
            async with within(f"the boundary {boundary}{of} is reached", self.deadline_seconds):
                passage = await self.breakpoint.reached()
        except DeadlineExceededError as error:
            raise DeadlineExceededError(f"{error} {self._told()}") from None
        crossing = passage.crossing
        owner = crossing.workflow_id.removeprefix(self.stack.temporal.prefix) or self.workflow_id
        self.journal.add(
            Event.STAGE, f"the wire has a call at {boundary}{f' of {owner}' if owner else ''}"
        )
        self._hits.append(Hit(self.stack, self.journal, passage, owner))
        return self._hits[-1]

    async def remove(self) -> None:
        """Hold no more calls there; the ones that are held stay so until they are decided on."""
        with contextlib.suppress(WireError):  # it is gone, with all its breakpoints
            await self.breakpoint.remove()

    async def release(self) -> None:
        """Remove it, and resume all calls held there, also those that `reached` never returned."""
        await self.remove()
        while True:
            try:
                async with asyncio.timeout(_AT_ONCE_SECONDS):
                    passage = await self.breakpoint.reached()
            except (TimeoutError, WireError):
                break
            self._hits.append(Hit(self.stack, self.journal, passage))
        for hit in self._hits:
            await hit.release()

    def _told(self) -> str:
        real = f"{self.stack.temporal.prefix}{self.workflow_id}" if self.workflow_id else ""
        there = self.breakpoint.spec.boundary
        seen = sorted(dict.fromkeys(_seen(self.stack, real)), key=partial(_distance, there))
        more = " and others" if len(seen) > MOST_TOLD else ""
        names = ", ".join(f"'{each}'" for each in seen[:MOST_TOLD])
        return f"The wire has seen {names}{more}." if seen else "The wire has seen no boundary."


def _distance(wanted: Boundary, seen: Boundary) -> int:
    """An error names those first that resemble the wanted one most."""
    return (wanted.kind != seen.kind) + (wanted.subject != seen.subject)


def _seen(stack: Stack, workflow_id: str) -> Iterator[Boundary]:
    """The boundaries that any call reached, of that workflow if it is given."""
    for records in read_wire(stack.evidence_folder).values():
        for record in records:
            for crossing in record.crossings if isinstance(record, Called) else ():
                if not workflow_id or crossing.workflow_id in {"", workflow_id}:
                    yield crossing.boundary

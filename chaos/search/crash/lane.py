"""A worker behind lines of the wire, in a namespace of its own, hit once for each workflow.

Its supervisor starts another, so the worker that ends a workflow is the one that is hit in the
next. The namespace is the lane's alone: a worker that knows only one task queue or one namespace
works as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from temporalio.service import RPCError

from chaos.environment.supervisor import Supervisor
from chaos.environment.target import Target
from chaos.environment.ways import NotHereError
from chaos.environment.wire import EVERYBODY
from chaos.evidence.headroom import Meter, Strain
from chaos.evidence.journal import Event
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.boundaries import Hit
from chaos.experiment.lab import Lab
from chaos.network.journal import file_name
from chaos.process.child import ChildError
from chaos.process.waiting import DeadlineExceededError, wait_until
from chaos.search.crash.keep import Since, ends, is_report, is_sent_again, keep
from chaos.search.crash.points import Action, CrashPoint, Disturbance
from chaos.wire.control import Breakpoint, Wire
from chaos.wire.journal import FOLDER, client_of, service_of
from chaos.wire.specs import Passage, WireError

SETTLED_SECONDS = 2.2
"""How long a worker must have been ready: a supervisor may replace others only after a wait."""

READY_DEADLINE_SECONDS = 120.0
HIT_DEADLINE_SECONDS = 60.0
END_DEADLINE_SECONDS = 150.0
SENT_AGAIN_SECONDS = 2.0
_ASK_SECONDS = 0.1

Wait = Callable[[Lab, WorkflowSpec], Coroutine[Any, Any, None]]
"""Returns when a workflow has ended, or waiting for it is useless."""


@dataclass
class Lane:
    """`lab` sees the lane's namespace, which has its name; `worker` is a command line instead of
    the target's own. `converge_seconds` is how long a workflow may take after a hit, beyond its
    usual time.
    """

    lab: Lab
    name: str
    meter: Meter
    worker: Sequence[str] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    end_deadline_seconds: float = END_DEADLINE_SECONDS
    _supervisor: Supervisor | None = None

    @property
    def target(self) -> Target:
        """Whose worker it has."""
        return self.lab.stack.target

    @property
    def supervisor(self) -> Supervisor:
        """Once it was started."""
        if self._supervisor is None:
            raise ChildError(f"{self.name} has no worker.")
        return self._supervisor

    async def start(self) -> None:
        """Keep a worker running, and wait until it is ready. Raises ChildError, WireError,
        DeadlineExceededError.
        """
        self._supervisor = None
        self._supervisor = await self.lab.supervisor(
            1, argv=self.worker or None, settings=self.settings, wire=True, namespace=self.name
        )

    async def give_up(self, workflow_id: str) -> None:
        """Leave nothing of a workflow to the next one: end it, and use another worker."""
        with suppress(RPCError):
            await self.lab.handle(workflow_id).terminate("it was abandoned")
        if self._supervisor:
            await self._supervisor.discard()
        await self.start()

    async def discard(self) -> None:
        """End its worker: it is not used again."""
        if self._supervisor:
            await self._supervisor.discard()

    async def attempt(
        self,
        spec: WorkflowSpec,
        folder: Path,
        disturbance: Disturbance | None = None,
        *,
        usual_seconds: float = 0.0,
        wait: Wait | None = None,
    ) -> None:
        """Run a workflow until it ends, or should have, and disturb it if a call comes there; put
        all its evidence into the folder. Undisturbed it takes `usual_seconds`. `wait` replaces the
        wait for its end.

        Raises ChildError, WireError, DeadlineExceededError, RPCError where that cannot be carried
        out. A workflow that does not end is not an error here: its history shows it.
        """
        pid = await self._settled()
        since = Since(ends(self.supervisor.logs), ends(self._journals))
        passage = None
        with self._strain_is_noted(spec):
            if disturbance is None:
                await self.lab.start(spec)
            else:
                async with await self._set(spec, disturbance.point) as breakpoint_:
                    await self.lab.start(spec)
                    longest = HIT_DEADLINE_SECONDS + usual_seconds
                    passage = await self._reached(spec, breakpoint_, longest)
                    if passage:
                        await self._hit(spec, passage, disturbance.action)
            longest = self.end_deadline_seconds + usual_seconds
            end = wait(self.lab, spec) if wait else self._until_ended(spec, longest)
            with suppress(DeadlineExceededError):
                await self._wired(end)
            action = disturbance.action if disturbance and passage else None
            if passage and action is Action.DROP:
                await self._until_sent_again(passage, since)
        dead = pid if action is Action.KILL else None
        await keep(self.lab, folder, spec, since, pid=dead)

    @contextmanager
    def _strain_is_noted(self, spec: WorkflowSpec) -> Iterator[None]:
        def note(strain: Strain) -> None:
            self.lab.journal.add(Event.STRAIN, strain=strain, workflow_id=spec.workflow_id)

        with self.meter.watched(note):
            yield

    async def _wired(self, waiting: Coroutine[Any, Any, None]) -> None:
        """Wait for that while the wire works: without it no worker can continue, which is not the
        workflow's fault. Raises WireError.
        """
        over, gone = asyncio.create_task(waiting), asyncio.create_task(self._wire.until_gone())
        try:
            await asyncio.wait({over, gone}, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                raise WireError(self._wire.why_gone)
            over.result()
        finally:
            for task in (over, gone):
                task.cancel()
            await asyncio.gather(over, gone, return_exceptions=True)

    async def _settled(self) -> int:
        """Wait until the worker polls, and has been ready for so long that it may die; its pid."""
        await wait_until(
            lambda: self.supervisor.is_complete(self.lab.client),
            what=f"the worker of {self.name} polls",
            deadline_seconds=READY_DEADLINE_SECONDS,
            interval_seconds=_ASK_SECONDS,
        )
        polls = [poll.at for line in self._lines() for poll in self._wire.polls(line)]
        polled_at = max(polls, default=datetime.now(UTC))
        await wait_until(
            lambda: (datetime.now(UTC) - polled_at).total_seconds() >= SETTLED_SECONDS,
            what=f"the worker of {self.name} has run long enough",
            deadline_seconds=2 * SETTLED_SECONDS,
        )
        pids = self.supervisor.pids
        if len(pids) != 1:
            raise ChildError(f"{self.name} has {len(pids)} workers, not one.")
        return pids[0]

    async def _set(self, spec: WorkflowSpec, point: CrashPoint) -> Breakpoint:
        """A breakpoint at the crash point."""
        is_named = point.is_own and not point.service
        workflow_id = self.lab.handle(spec.workflow_id).id if is_named else ""
        (line,) = self._lines(point.service)
        return await self._wire.set(point.boundary, workflow_id=workflow_id, line=line)

    async def _reached(
        self, spec: WorkflowSpec, breakpoint_: Breakpoint, deadline_seconds: float
    ) -> Passage | None:
        """The call that comes there, as soon as it comes; None if the workflow ends before."""
        reached = asyncio.create_task(breakpoint_.reached())
        over = asyncio.create_task(self._until_ended(spec, deadline_seconds))
        try:
            await asyncio.wait({reached, over}, return_when=asyncio.FIRST_COMPLETED)
            return reached.result() if reached.done() else None
        finally:
            for task in (reached, over):
                task.cancel()
            await asyncio.gather(reached, over, return_exceptions=True)

    async def _until_sent_again(self, passage: Passage, since: Since) -> None:
        """Wait until a report whose reply was lost is sent again; whether it is depends on the SDK.
        The workflow may be over before.
        """
        if is_report(passage.crossing):
            with suppress(DeadlineExceededError):
                await wait_until(
                    lambda: is_sent_again(since.lines, passage.crossing),
                    what=f"{passage.crossing.boundary} is reported again",
                    deadline_seconds=SENT_AGAIN_SECONDS,
                    interval_seconds=_ASK_SECONDS,
                )

    async def _until_ended(self, spec: WorkflowSpec, deadline_seconds: float) -> None:
        """Raises DeadlineExceededError."""
        await wait_until(
            lambda: self.lab.has_ended(spec.workflow_id),
            what=f"{spec.workflow_id} ends",
            deadline_seconds=deadline_seconds,
            interval_seconds=_ASK_SECONDS,
        )

    async def _hit(self, spec: WorkflowSpec, passage: Passage, action: Action) -> None:
        """While the call is held there."""
        hit = Hit(self.lab.stack, self.lab.journal, passage, spec.workflow_id)
        try:
            await (hit.kill() if action is Action.KILL else hit.drop())
        except (NotHereError, psutil.NoSuchProcess):
            raise ChildError(f"the worker of {self.name} had ended before it was hit.") from None

    @property
    def _wire(self) -> Wire:
        return self.lab.stack.wire.wire

    @property
    def _journals(self) -> list[Path]:
        folder = self.lab.stack.evidence_folder / FOLDER
        return [folder / file_name(line) for line in self._own_lines]

    @property
    def _own_lines(self) -> list[str]:
        own = {*self.supervisor.clients, EVERYBODY}
        return [line for line in self.lab.stack.wire.lines if client_of(line) in own]

    def _lines(self, service: str = "") -> list[str]:
        """The lines of its worker to a service, or to the server."""
        return [line for line in self._own_lines if service_of(line) == service]

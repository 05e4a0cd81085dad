"""What an experiment works with: the running stack, the load, and faults that leave a record."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from signal import Signals
from typing import Any, Protocol, Unpack

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowHistoryEventFilterType,
)
from temporalio.service import RPCError, RPCStatusCode

from chaos.environment.stack import Stack, WorkerOptions
from chaos.environment.supervisor import Supervisor
from chaos.environment.worker import WorkerProcess
from chaos.evidence.bills import Bill
from chaos.evidence.case import save_books
from chaos.evidence.history import Status
from chaos.evidence.journal import Event, Journal
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.boundaries import BoundaryWatch
from chaos.experiment.schedules import FollowedSchedule
from chaos.process.child import Child
from chaos.process.waiting import DeadlineExceededError, wait_until, within
from chaos.wire.boundary import Boundary

SAMPLE_INTERVAL_SECONDS = 0.25
FOLLOW_AGAIN_SECONDS = 0.5

AWAITED_AT_ONCE = 50
"""Workflows whose end is awaited at the server side by side; more would keep it busy with us."""

SETTLE_SECONDS = 15.0
"""How long a workflow task may take that a workflow has which should still run: the wait for a dead
worker's sticky queue, and what comes after it.
"""

LONGEST_LOOK_SECONDS = 2.0
"""How long a poll is waited for before somebody looks whether its workflow has ended."""

_LONGEST_CALL = timedelta(seconds=20)
_PAUSE_SECONDS = 0.05
STEP_DEADLINE_SECONDS = 60.0

_KINDS = {signal.SIGKILL: "kill", signal.SIGTERM: "terminate"}
"""What a fault is called, by its signal."""


class EndedEarlyError(Exception):
    """A workflow ended before its fault was done: there is nothing more to do but to judge."""


@dataclass(frozen=True)
class Options:
    """What a user may choose for a run. `workflows` is how many start at once, in a
    case whose load asks for it.
    """

    workflows: int = 5


@dataclass(frozen=True)
class StartOptions:
    """Where a workflow is started: its id there may be longer than the one it is known by here."""

    workflow_id: str
    task_queue: str
    execution_timeout: timedelta | None = None


Starter = Callable[[Client, WorkflowSpec, StartOptions], Awaitable[str]]
"""Starts a workflow; the id of its run."""


async def start_workflow(client: Client, spec: WorkflowSpec, options: StartOptions) -> str:
    """Start it with what its spec says."""
    handle = await client.start_workflow(
        spec.workflow_type,
        args=list(spec.arguments),
        id=options.workflow_id,
        task_queue=options.task_queue,
        execution_timeout=options.execution_timeout,
    )
    return handle.first_execution_run_id or ""


class Fault(Protocol):
    """What can be injected and healed; `kind` and `target` stand in the journal."""

    @property
    def kind(self) -> str:
        """What is done."""

    @property
    def target(self) -> str:
        """To whom."""

    @property
    def is_late(self) -> bool:
        """Whether it waits for its moment, and tells the journal by itself when that has come."""

    async def inject(self, lab: Any) -> None:
        """Do it, and see the effect."""

    async def heal(self, lab: Any) -> None:
        """Undo it, and see that it is undone."""


@dataclass
class Lab:
    """One experiment's hands and notebook. `on_working` is called when it has a worker, `on_ended`
    with each workflow that is seen to have ended. A target may have a lab of its own kind.

    `started` has the run ids of every start, by the workflow's id on the server.
    """

    stack: Stack
    journal: Journal
    options: Options
    on_working: Callable[[], None] = lambda: None
    on_ended: Callable[[str], None] = lambda _: None
    specs: list[WorkflowSpec] = field(default_factory=list)
    started: dict[str, list[str]] = field(default_factory=dict)
    _faults: list[Fault] = field(default_factory=list)
    _begun: dict[str, datetime] = field(default_factory=dict)
    _schedules: list[FollowedSchedule] = field(default_factory=list)
    _not_yet: set[str] = field(default_factory=set)
    _watches: list[BoundaryWatch] = field(default_factory=list)

    @property
    def step_deadline_seconds(self) -> float:
        """How long one step of an experiment may take; real, paid work takes longer."""
        live = self.stack.target.live
        return live.step_deadline_seconds if live else STEP_DEADLINE_SECONDS

    def expect(self, spec: WorkflowSpec) -> None:
        """A workflow that somebody else starts, such as a parent or a service, under the id that
        its spec has: it is awaited and judged as if the experiment had started it.
        """
        self._not_yet.add(spec.workflow_id)
        self._add(spec)

    def _add(self, spec: WorkflowSpec) -> None:
        if spec not in self.specs:
            self.specs.append(spec)
            self.stack.own(spec.workflow_id)

    def expect_started_by(
        self, schedule_id: str, spec: Callable[[str], WorkflowSpec], *, at_least: int = 1
    ) -> None:
        """The workflows that a Temporal Schedule starts: `spec` makes what is expected of each, for
        the id that it has. When the experiment is over the schedule is paused, and in the end
        deleted; all that it has started by then are awaited and judged. Of fewer than `at_least`
        those that are missing count as lost.

        The id of its action has to begin with `own_id(…)`: on a cluster of others all ids do. Give
        it an `end_at` there: of a run that is killed nobody deletes it.
        """
        self._schedules.append(FollowedSchedule(schedule_id, spec, at_least))

    async def stop_schedules(self) -> None:
        """Pause those whose workflows are expected, and expect these. Raises on a deadline."""
        prefix = self.stack.temporal.prefix
        for schedule in self._schedules:
            ids = await schedule.stop(self.client, self.step_deadline_seconds)
            self.note(f"{schedule.schedule_id} has started {len(ids)} workflow(s)")
            for spec in schedule.specs([each.removeprefix(prefix) for each in ids]):
                self._add(spec)

    async def delete_schedules(self) -> None:
        """Remove those whose workflows are expected."""
        for schedule in self._schedules:
            await schedule.delete(self.client)

    def own_id(self, name: str) -> str:
        """What the id of a workflow that somebody else starts has to begin with."""
        return f"{self.stack.temporal.prefix}{name}"

    async def save(self, folder: Path) -> None:
        """Keep what a target's own kind of lab knows and its evidence needs; called once, last."""

    async def keep(self, spec: WorkflowSpec, folder: Path) -> None:
        """Keep in a folder of its own what there is of one workflow, where several share a stack:
        what the books of both sides say of it. A target's own kind of lab adds its files.
        """
        await asyncio.to_thread(self._keep_books, spec, folder)

    def _keep_books(self, spec: WorkflowSpec, folder: Path) -> None:
        whole, reading = self.stack.evidence_folder, self.stack.target.reading
        keys = {charge.key for charge in spec.charges}
        known = {charge.key for each in self.specs for charge in each.charges}
        begun = self._begun.get(spec.workflow_id)

        def is_its_own(bill: Bill) -> bool:
            """What nobody asked for is everybody's, as long as it came while this one ran."""
            return bill.key in keys or (
                bill.key not in known and begun is not None and bill.at >= begun
            )

        owner = self.handle(spec.workflow_id).id
        only = replace(
            reading,
            bills=lambda _: [bill for bill in reading.bills(whole) if is_its_own(bill)],
            paid_requests=lambda _: [
                r for r in reading.paid_requests(whole) if r.operation_id == owner
            ],
            refusals=lambda _: [
                r for r in reading.refusals(whole) if r.workflow_id == spec.workflow_id
            ],
        )
        save_books(folder, only)

    async def close(self) -> None:
        """Let go of what a target's own kind of lab holds."""

    @property
    def client(self) -> Client:
        """The harness's own connection to the server."""
        return self.stack.client

    def note(self, text: str) -> None:
        """Say what is being done now."""
        self.journal.add(Event.STAGE, text)

    async def start(
        self,
        spec: WorkflowSpec,
        *,
        task_queue: str | None = None,
        starter: Starter = start_workflow,
    ) -> None:
        """Start a workflow, or one that has ended once more; it should end as its spec says."""
        if spec not in self.specs:
            self.specs.append(spec)
        entry = self.journal.add(Event.WORKFLOW, workflow_id=spec.workflow_id)
        self._begun.setdefault(spec.workflow_id, entry.at)
        place = StartOptions(
            workflow_id=self.stack.own(spec.workflow_id),
            task_queue=self.stack.own_queue(task_queue or self.stack.task_queue),
            execution_timeout=self.stack.temporal.execution_timeout,
        )
        run_id = await starter(self.client, spec, place)
        self.started.setdefault(self.handle(spec.workflow_id).id, []).append(run_id)

    def handle(self, workflow_id: str) -> WorkflowHandle[Any, Any]:
        """An expected workflow as the server has it."""
        return self.client.get_workflow_handle(f"{self.stack.temporal.prefix}{workflow_id}")

    async def worker(self, **options: Unpack[WorkerOptions]) -> WorkerProcess:
        """Start a worker, and wait until it is ready. The `options` are those of `WorkerOptions`:
        `kind`, `task_queue`, `argv`, `settings`, `links`, `wire` and `namespace`. On the wire its
        calls can be held, by `at`.
        """
        worker = await self.stack.start_worker(**options)
        kind = options.get("kind")
        what = f"pid {worker.child.pid}" + (f", kind {kind}" if kind else "")
        self.note(f"{worker.child.name} is ready ({what})")
        self.on_working()
        return worker

    async def supervisor(
        self, workers: int, *, arguments: Sequence[str] = (), **options: Unpack[WorkerOptions]
    ) -> Supervisor:
        """Have so many workers kept, and wait until all are ready: by the target's own supervisor,
        which gets the `arguments`, or else by the harness, which calls them `worker-1` and so on.
        The `options` are those of `worker`.
        """
        found: Supervisor
        if self.stack.target.supervisor:
            found = await self.stack.start_supervisor(workers, arguments=arguments, **options)
        else:
            found = await self.stack.keep_workers(workers, **options)
        self.note(f"{found.name} is ready with {workers} workers")
        self.on_working()
        return found

    async def at(
        self,
        boundary: str | Boundary,
        *,
        workflow_id: str | None = None,
        worker: WorkerProcess | str | None = None,
        attempt: int = 0,
        times: int = 1,
    ) -> BoundaryWatch:
        """Have the wire hold what comes to a boundary, such as `activity charge_card completed`: of
        one workflow and one worker if they are named, and of one `attempt`, so many `times`.

            charged = await lab.at("activity charge_card completed")
            await lab.start(order)
            hit = await charged.reached()
            await hit.kill()

        When the experiment is over, all that is still held goes on. Raises BoundaryError.
        """
        found = await self.stack.wire.wire.set(
            Boundary.parse(boundary) if isinstance(boundary, str) else boundary,
            workflow_id=self.handle(workflow_id).id if workflow_id else "",
            line=worker.child.name if isinstance(worker, WorkerProcess) else worker or "",
            attempt=attempt,
            times=times,
        )
        watch = BoundaryWatch(
            self.stack, self.journal, found, self.step_deadline_seconds, workflow_id or ""
        )
        self._watches.append(watch)
        return watch

    async def begin(self, fault: Fault) -> None:
        """Inject a fault. It is healed by `end`, or by `heal` at the latest."""
        if not fault.is_late:
            self.journal.add(
                Event.FAULT, f"{fault.kind} at {fault.target}", kind=fault.kind, target=fault.target
            )
        self._faults.append(fault)
        await fault.inject(self)

    async def end(self, fault: Fault) -> None:
        """Heal a fault; one that is over already is left alone."""
        if fault in self._faults:
            self._faults.remove(fault)
            await fault.heal(self)
            self.journal.add(Event.HEALED, f"{fault.target} is healed", target=fault.target)

    @asynccontextmanager
    async def during(self, fault: Fault) -> AsyncIterator[None]:
        """A fault that is there within the block, and healed however the block ends."""
        await self.begin(fault)
        try:
            yield
        finally:
            await self.end(fault)

    async def heal(self) -> None:
        """Heal every fault that is still there, each whatever becomes of the others, and let go on
        what is held at a boundary.
        """
        for fault in tuple(self._faults):
            try:
                await self.end(fault)
            except Exception as error:  # noqa: BLE001 - the others have to be healed all the same
                self.journal.add(Event.TROUBLE, f"{fault.target} could not be healed: {error!r}")
        for watch in self._watches:
            await watch.release()

    async def signal(self, child: Child, number: Signals) -> None:
        """Send a deadly signal as the planned fault, and see the process end."""
        self.journal.add(Event.FAULT, kind=_KINDS[number], target=child.name, pid=child.pid)
        child.send(number)
        await child.wait(STEP_DEADLINE_SECONDS)

    async def signal_together(
        self, target: str, children: Sequence[Child], number: Signals
    ) -> None:
        """Send a deadly signal to several processes as one planned fault; see all of them end."""
        self.journal.add(Event.FAULT, kind=_KINDS[number], target=target)
        for child in children:
            child.send(number)
        for child in children:
            await child.wait(STEP_DEADLINE_SECONDS)

    def healed(self, target: str) -> None:
        """Record that a fault is over."""
        self.journal.add(Event.HEALED, target=target)

    async def until_in_flight(self, workflow_id: str, kind: str) -> None:
        """Wait until a worker has an activity of that kind in flight, by the server's word."""

        async def is_in_flight() -> bool:
            started = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
            return any(p.state == started for p in await self._pending(workflow_id, kind))

        await wait_until(
            is_in_flight,
            what=f"a worker has {kind} of {workflow_id} in flight",
            deadline_seconds=self.step_deadline_seconds,
        )

    async def until_failed(self, workflow_id: str, kind: str, *, attempts: int) -> None:
        """Wait until so many attempts of an activity of that kind have failed."""

        async def have_failed() -> bool:
            return any(p.attempt > attempts for p in await self._pending(workflow_id, kind))

        await wait_until(
            have_failed,
            what=f"{attempts} attempt(s) of {kind} of {workflow_id} have failed",
            deadline_seconds=self.step_deadline_seconds,
        )

    async def until_troubled(self, workflow_id: str, kind: str) -> None:
        """Wait until the heartbeats of an activity of that kind tell of something, or until its
        workflow got over it before the next of them.
        """

        async def is_told() -> bool:
            try:
                pending = await self._pending(workflow_id, kind)
            except EndedEarlyError:
                return True
            return any(each.heartbeat_details.payloads for each in pending)

        await wait_until(
            is_told,
            what=f"{kind} of {workflow_id} tells of trouble",
            deadline_seconds=self.step_deadline_seconds,
        )

    async def _pending(self, workflow_id: str, kind: str) -> Sequence[PendingActivityInfo]:
        """The open activities of a kind; none where the server is away or too busy to tell. Raises
        EndedEarlyError.
        """
        try:
            described = await self.handle(workflow_id).describe(rpc_timeout=timedelta(seconds=2))
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise
            return ()
        if described.status is not WorkflowExecutionStatus.RUNNING:
            raise EndedEarlyError(f"{workflow_id} has ended too early.")
        found = described.raw_description.pending_activities
        return [pending for pending in found if pending.activity_type.name == kind]

    async def until_ended(self, *workflow_ids: str) -> None:
        """Wait until these have ended. One that hangs is no trouble of ours: its history tells."""
        try:
            await self._until_ended(workflow_ids, self.step_deadline_seconds)
        except DeadlineExceededError as error:
            raise EndedEarlyError(str(error)) from None

    async def until_told(self, workflow_id: str, field: str, query: str = "progress") -> Any:
        """Wait until a field of what a workflow's query answers is there; what it is."""
        told: list[Any] = []

        async def tells() -> bool:
            if await self.has_ended(workflow_id):
                raise EndedEarlyError(f"{workflow_id} has ended too early.")
            try:
                progress = await self.handle(workflow_id).query(
                    query, rpc_timeout=timedelta(seconds=2)
                )
            except RPCError:  # no worker answers, or not yet
                return False
            told.append(progress.get(field))
            return bool(told[-1])

        await wait_until(
            tells,
            what=f"{workflow_id} tells of {field}",
            deadline_seconds=self.step_deadline_seconds,
        )
        return told[-1]

    @asynccontextmanager
    async def watched(self, workflow_id: str, query: str = "progress") -> AsyncIterator[None]:
        """Journal what a workflow's query answers, an object, each time that it changes."""
        changed = asyncio.Event()
        tasks = [
            asyncio.create_task(self._follow(workflow_id, changed)),
            asyncio.create_task(self._sample(workflow_id, query, changed)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def _follow(self, workflow_id: str, changed: asyncio.Event) -> None:
        """Say when a workflow's history grows: only then can its progress have changed."""
        while True:
            events = self.handle(workflow_id).fetch_history_events(
                wait_new_event=True, rpc_timeout=_LONGEST_CALL
            )
            try:
                async for _ in events:
                    changed.set()
            except RPCError:  # it is not there yet, or the server is away
                await asyncio.sleep(SAMPLE_INTERVAL_SECONDS)
            else:  # its run has ended, and another may follow
                await asyncio.sleep(FOLLOW_AGAIN_SECONDS)

    async def _sample(self, workflow_id: str, query: str, changed: asyncio.Event) -> None:
        last: dict[str, Any] | None = None
        while True:
            await changed.wait()
            changed.clear()
            try:
                now = await self.handle(workflow_id).query(
                    query, result_type=dict, rpc_timeout=timedelta(seconds=1)
                )
            except RPCError:
                # While the server or every worker is down there is no answer; that is no finding.
                changed.set()
            else:
                if now != last:
                    last = now
                    self.journal.add(
                        Event.PROGRESS,
                        workflow_id=workflow_id,
                        progress=now,
                    )
            await asyncio.sleep(SAMPLE_INTERVAL_SECONDS)

    async def converge(self, deadline_seconds: float) -> None:
        """Wait until every expected workflow has ended, or is lost. Those that should still run are
        not waited for, but for the workflow task that they may just have. Raises on a deadline.

        `handle.result()` gives up after 10 s without a server, so this asks in its own loop.
        """
        should_run = [a.workflow_id for a in self.specs if a.status is Status.RUNNING]
        ids = [a.workflow_id for a in self.specs if a.status is not Status.RUNNING]
        await self._until_ended(ids, deadline_seconds)
        for workflow_id in should_run:
            await wait_until(
                partial(self._is_idle, workflow_id),
                what=f"{workflow_id} has no task of its own to do",
                deadline_seconds=SETTLE_SECONDS,
            )

    async def _is_idle(self, workflow_id: str) -> bool:
        """Whether a workflow is there, and has no task of its own to do."""
        try:
            described = await self.handle(workflow_id).describe(rpc_timeout=timedelta(seconds=2))
        except RPCError as error:
            return error.status is RPCStatusCode.NOT_FOUND and workflow_id not in self._not_yet
        return not described.raw_description.HasField("pending_workflow_task")

    async def _until_ended(self, ids: Sequence[str], deadline_seconds: float) -> None:
        places = asyncio.Semaphore(AWAITED_AT_ONCE)
        names = f"{', '.join(ids[:5])}{' …' if len(ids) > 5 else ''}"
        async with within(f"{names} end", deadline_seconds), asyncio.TaskGroup() as group:
            for workflow_id in ids:
                group.create_task(self._until_one_ended(workflow_id, places))

    async def _until_one_ended(self, workflow_id: str, places: asyncio.Semaphore) -> None:
        """The server says so when it does; it may be away, and a run may be followed by another.

        A place is left after each answer, so that everybody gets a turn.
        """
        while True:
            async with places:
                if await self.has_ended(workflow_id):
                    return
                with contextlib.suppress(RPCError):
                    await self._next_close(workflow_id)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _next_close(self, workflow_id: str) -> None:
        """Wait until a run ends, or for as long as a call may take."""
        events = self.handle(workflow_id).fetch_history_events(
            wait_new_event=True,
            event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT,
            rpc_timeout=_LONGEST_CALL,
        )
        await anext(events, None)

    async def has_ended(self, workflow_id: str) -> bool:
        """Whether a workflow has ended, or is lost; one that somebody else starts may yet come."""
        try:
            described = await self.handle(workflow_id).describe(rpc_timeout=timedelta(seconds=2))
        except RPCError as error:
            return error.status is RPCStatusCode.NOT_FOUND and workflow_id not in self._not_yet
        if described.status in {None, WorkflowExecutionStatus.RUNNING}:
            return False
        self.on_ended(workflow_id)
        return True

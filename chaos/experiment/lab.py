"""What an experiment works with: the running stack, its workflows, and faults, all recorded."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from signal import Signals
from typing import Any, Protocol, Unpack

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowHandle,
)
from temporalio.common import VersioningOverride
from temporalio.service import RPCError, RPCStatusCode

from chaos.environment.stack import NotHereError, Stack, WorkerOptions
from chaos.environment.supervisor import Supervisor
from chaos.environment.versions import VersionName
from chaos.environment.worker import WorkerProcess
from chaos.evidence.bills import Bill
from chaos.evidence.case import save_books
from chaos.evidence.history import Status
from chaos.evidence.journal import Event, Journal
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.boundaries import BoundaryWatch
from chaos.experiment.deployments import Route, route
from chaos.experiment.ends import Ends, watched
from chaos.experiment.sampling import EVERY_SECONDS, Queues, sampled
from chaos.experiment.schedules import FollowedSchedule
from chaos.process.child import Child, ChildError
from chaos.process.waiting import DeadlineExceededError, wait_until
from chaos.wire.boundary import Boundary

STEP_DEADLINE_SECONDS = 60.0

_KINDS = {signal.SIGKILL: "kill", signal.SIGTERM: "terminate"}
"""The name of a fault by its signal."""


class EndedEarlyError(Exception):
    """A workflow ended before its fault was injected: only judging is left."""


@dataclass(frozen=True)
class Options:
    """What the user of a run may choose.

    Attributes:
        workflows: how many start at once, in a case whose load uses it.

    """

    workflows: int = 5


@dataclass(frozen=True)
class StartOptions:
    """How and where a workflow is started. Its id on the server may have a prefix."""

    workflow_id: str
    task_queue: str
    execution_timeout: timedelta | None = None


Starter = Callable[[Client, WorkflowSpec, StartOptions], Awaitable[str]]
"""Starts a workflow; the id of its run."""


async def start_workflow(
    client: Client,
    spec: WorkflowSpec,
    options: StartOptions,
    versioning: VersioningOverride | None = None,
) -> str:
    """Start it as its spec says; `versioning` replaces the behaviour that its code declares."""
    handle = await client.start_workflow(
        spec.workflow_type,
        args=list(spec.arguments),
        id=options.workflow_id,
        task_queue=options.task_queue,
        execution_timeout=options.execution_timeout,
        versioning_override=versioning,
    )
    return handle.first_execution_run_id or ""


class Fault(Protocol):
    """What can be injected and healed. `kind` and `target` are its names in the journal."""

    @property
    def kind(self) -> str:
        """The name of what it does."""

    @property
    def target(self) -> str:
        """The process, link or service that it hits."""

    @property
    def is_late(self) -> bool:
        """Whether it adds itself to the journal, such as when a call that it waits for has come."""

    async def inject(self, lab: Any) -> None:
        """Inject it, and wait for the effect."""

    async def heal(self, lab: Any) -> None:
        """Revert it, and wait until it is reverted."""


@dataclass
class Lab:
    """What an experiment works with: starts workers and workflows, injects faults, waits.

    It records everything that it does in the journal. A target may have a subclass of its own.

        async def experiment(lab: Lab) -> None:
            worker = await lab.worker()
            await lab.start(order)
            await lab.until_in_flight("order-1", "charge_card")
            await lab.signal(worker.child, signal.SIGKILL)
            await lab.worker()

    Attributes:
        stack: the running server, services and workers.
        journal: where it records what it does.
        options: what the user of the run has chosen.
        on_working: called when a worker is ready.
        on_ended: called with the id of each workflow that was seen to have ended.
        specs: the workflows that are expected.
        started: the run ids of every start, by the workflow's id on the server.

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
        """How long one step may take: 60 s, or what a live target says."""
        live = self.stack.target.live
        return live.step_deadline_seconds if live else STEP_DEADLINE_SECONDS

    def expect(self, spec: WorkflowSpec) -> None:
        """Expect a workflow that something else starts, such as a parent or a service. It is
        awaited and judged, by the id in its spec, as if the experiment had started it.
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
        """Expect the workflows that a Temporal Schedule starts.

        When the experiment is over the schedule is paused, and later deleted. Every workflow
        that it has started by then is awaited and judged.

        Args:
            schedule_id: the schedule. Its action's workflow id must begin with `own_id(…)`. Give it
                an `end_at` on a cluster that others use: a run that is killed deletes nothing.
            spec: makes the spec of a workflow from its id.
            at_least: how many must have started; missing ones count as lost.

        """
        self._schedules.append(FollowedSchedule(schedule_id, spec, at_least))

    async def stop_schedules(self) -> None:
        """Pause the schedules, and expect what they have started. Raises DeadlineExceededError."""
        prefix = self.stack.temporal.prefix
        for schedule in self._schedules:
            ids = await schedule.stop(self.client, self.step_deadline_seconds)
            self.note(f"{schedule.schedule_id} has started {len(ids)} workflow(s)")
            for spec in schedule.specs([each.removeprefix(prefix) for each in ids]):
                self._add(spec)

    async def delete_schedules(self) -> None:
        """Delete the schedules."""
        for schedule in self._schedules:
            await schedule.delete(self.client)

    def own_id(self, name: str) -> str:
        """The id that a workflow must begin with if something else starts it."""
        return f"{self.stack.temporal.prefix}{name}"

    async def save(self, folder: Path) -> None:
        """Save what a subclass's evidence needs; called once, last."""

    async def keep(self, spec: WorkflowSpec, folder: Path) -> None:
        """Save the payment records of one workflow, where several share a stack. A subclass adds
        its files.
        """
        await asyncio.to_thread(self._keep_books, spec, folder)

    def _keep_books(self, spec: WorkflowSpec, folder: Path) -> None:
        whole, reading = self.stack.evidence_folder, self.stack.target.reading
        keys = {charge.key for charge in spec.charges}
        known = {charge.key for each in self.specs for charge in each.charges}
        begun = self._begun.get(spec.workflow_id)

        def is_its_own(bill: Bill) -> bool:
            """A record of no known workflow counts for each workflow that ran at the time."""
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
        """Release the resources of a subclass."""

    @property
    def client(self) -> Client:
        """The harness's own connection to the server."""
        return self.stack.client

    def note(self, text: str) -> None:
        """Add a line of text to the journal."""
        self.journal.add(Event.STAGE, text)

    async def start(
        self,
        spec: WorkflowSpec,
        *,
        task_queue: str | None = None,
        starter: Starter = start_workflow,
    ) -> None:
        """Start a workflow, or start it again after it has ended.

        Args:
            spec: what it is, and how it should end.
            task_queue: another one than the target's.
            starter: starts it in another way than by the SDK's client; returns the run id.

        """
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
        """The handle of an expected workflow on the server."""
        return self.client.get_workflow_handle(f"{self.stack.temporal.prefix}{workflow_id}")

    async def worker(self, **options: Unpack[WorkerOptions]) -> WorkerProcess:
        """Start a worker and wait until it is ready.

        Keyword Args:
            kind (str): one of the target's other kinds of workers.
            task_queue (str): another one than the target's.
            argv (Sequence[str]): another command line.
            settings (Mapping[str, str]): more environment variables.
            links (Sequence[str]): what it reaches through a proxy: `SERVER`, or names of services.
            wire (bool): whether its calls can be held, by `at`.
            namespace (str): on the wire, another namespace for its requests.
            version (str): one of the target's versions: `old`, `new` or `broken`.
            versioned (bool): whether it polls as that version in Worker Versioning.
            packets (bool): whether its packets can be lost, by `BadPackets`.

        """
        worker = await self.stack.start_worker(**options)
        kind = options.get("kind")
        version = options.get("version")
        what = f"pid {worker.child.pid}" + (f", kind {kind}" if kind else "")
        what += f", version {version}" if version else ""
        self.note(f"{worker.child.name} is ready ({what})")
        self.on_working()
        return worker

    async def set_current(self, version: VersionName) -> None:
        """Make a version of the target the current one of its worker deployment: workflows start on
        it, and those that upgrade move to it. A worker of it must run. Raises NotHereError,
        DeadlineExceededError.
        """
        await self._route(version, None)

    async def set_ramping(self, version: VersionName, percent: float) -> None:
        """Give a version of the target so many of the workflows that start, and of those that
        upgrade. A worker of it must run. Raises NotHereError, DeadlineExceededError.
        """
        await self._route(version, percent)

    async def _route(self, version: VersionName, percent: float | None) -> None:
        versions = self.stack.target.versions
        if versions is None or not versions.deployment or version not in versions.all:
            raise NotHereError(
                f"version {version!r} is of no worker deployment: name both in Target.versions."
            )
        build_id = versions.all[version].build_id
        what = "current" if percent is None else f"ramping, {percent:g} %"
        # The first one is no fault: nothing runs yet.
        kind = ("set_current" if percent is None else "set_ramping") if self.started else None
        self.journal.add(
            Event.FAULT if kind else Event.STAGE,
            f"{version} ({build_id}) becomes {what}",
            kind=kind,
            target=versions.deployment,
            version=version,
        )
        queue = self.stack.own_queue(self.stack.task_queue)
        to = Route(versions.deployment, build_id, queue, percent)
        await route(self.client, to, self.step_deadline_seconds)
        if kind:
            self.journal.add(
                Event.HEALED,
                f"{version} ({build_id}) is {what}",
                target=versions.deployment,
                version=version,
            )

    async def supervisor(
        self, workers: int, *, arguments: Sequence[str] = (), **options: Unpack[WorkerOptions]
    ) -> Supervisor:
        """Keep a number of workers running, and wait until all are ready. The target's own
        supervisor does it, or else the harness, which names them `worker-1` and so on.

        Args:
            workers: how many.
            arguments: more arguments for the target's own supervisor.
            **options: those of `worker`.

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
        """Hold each call that reaches a boundary of the wire, until the experiment decides on it.

            charged = await lab.at("activity charge_card completed")
            await lab.start(order)
            hit = await charged.reached()
            await hit.kill()

        Calls that are still held at the end of the experiment continue. Raises BoundaryError.

        Args:
            boundary: such as `activity charge_card completed`.
            workflow_id: hold only calls of this workflow.
            worker: hold only calls of this worker.
            attempt: hold only this attempt; 0: any.
            times: how many calls to hold.

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
        """Inject a fault. `end` or the end of the experiment heals it."""
        if not fault.is_late:
            self.journal.add(
                Event.FAULT, f"{fault.kind} at {fault.target}", kind=fault.kind, target=fault.target
            )
        self._faults.append(fault)
        await fault.inject(self)

    async def end(self, fault: Fault) -> None:
        """Heal a fault, unless it is over already."""
        if fault in self._faults:
            self._faults.remove(fault)
            await fault.heal(self)
            self.journal.add(Event.HEALED, f"{fault.target} is healed", target=fault.target)

    @asynccontextmanager
    async def during(self, fault: Fault) -> AsyncIterator[None]:
        """Inject a fault for the time of the block, and heal it however the block ends."""
        await self.begin(fault)
        try:
            yield
        except BaseException:
            await self._heal(fault)  # what has ended the block is told, whatever becomes of this
            raise
        await self.end(fault)

    async def heal(self) -> None:
        """Heal all remaining faults, and resume all held calls."""
        for fault in tuple(self._faults):
            await self._heal(fault)
        for watch in self._watches:
            await watch.release()

    async def _heal(self, fault: Fault) -> None:
        """Heal one fault; that it could not be healed is trouble, and ends nothing."""
        try:
            await self.end(fault)
        except ChildError as error:
            self.journal.add(Event.TROUBLE, f"{fault.target} is not healed: {error}")
        except Exception as error:  # noqa: BLE001 - the others have to be healed all the same
            self.journal.add(Event.TROUBLE, f"{fault.target} could not be healed: {error!r}")

    async def signal(self, child: Child, number: Signals) -> None:
        """Send a deadly signal as the planned fault, and wait until the process has ended."""
        self.journal.add(Event.FAULT, kind=_KINDS[number], target=child.name, pid=child.pid)
        child.send(number)
        await child.wait(STEP_DEADLINE_SECONDS)

    async def signal_together(
        self, target: str, children: Sequence[Child], number: Signals
    ) -> None:
        """Send a deadly signal to several processes as one planned fault; wait until all have
        ended.
        """
        self.journal.add(Event.FAULT, kind=_KINDS[number], target=target)
        for child in children:
            child.send(number)
        for child in children:
            await child.wait(STEP_DEADLINE_SECONDS)

    def healed(self, target: str) -> None:
        """Record that a fault is over."""
        self.journal.add(Event.HEALED, target=target)

    async def until_in_flight(self, workflow_id: str, kind: str) -> str:
        """Wait until a worker has an activity of that type in flight, by the server. Returns the
        identity of that worker.
        """
        started = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
        whose: list[str] = []

        async def is_in_flight() -> bool:
            pending = await self._pending(workflow_id, kind)
            whose[:] = [p.last_worker_identity for p in pending if p.state == started]
            return bool(whose)

        await wait_until(
            is_in_flight,
            what=f"a worker has {kind} of {workflow_id} in flight",
            deadline_seconds=self.step_deadline_seconds,
        )
        return whose[0]

    async def until_failed(self, workflow_id: str, kind: str, *, attempts: int) -> None:
        """Wait until so many attempts of an activity of that type have failed."""

        async def have_failed() -> bool:
            return any(p.attempt > attempts for p in await self._pending(workflow_id, kind))

        await wait_until(
            have_failed,
            what=f"{attempts} attempt(s) of {kind} of {workflow_id} have failed",
            deadline_seconds=self.step_deadline_seconds,
        )

    async def until_troubled(self, workflow_id: str, kind: str) -> None:
        """Wait until an activity of that type reports something by its heartbeats, or its workflow
        has ended.
        """

        async def is_told() -> bool:
            try:
                pending = await self._pending(workflow_id, kind)
            except EndedEarlyError:
                return True
            return any(each.heartbeat_details.payloads for each in pending)

        await wait_until(
            is_told,
            what=f"{kind} of {workflow_id} reports trouble",
            deadline_seconds=self.step_deadline_seconds,
        )

    async def _pending(self, workflow_id: str, kind: str) -> Sequence[PendingActivityInfo]:
        """The open activities of a kind; none if the server does not answer in time. Raises
        EndedEarlyError.
        """
        try:
            described = await self.handle(workflow_id).describe(rpc_timeout=timedelta(seconds=2))
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise
            return ()
        if described.status is not WorkflowExecutionStatus.RUNNING:
            raise EndedEarlyError(f"{workflow_id} ended too early.")
        found = described.raw_description.pending_activities
        return [pending for pending in found if pending.activity_type.name == kind]

    async def until_ended(self, *workflow_ids: str) -> None:
        """Wait until these workflows have ended. Raises EndedEarlyError on a deadline."""
        try:
            await self._ends.until_ended(workflow_ids, self.step_deadline_seconds)
        except DeadlineExceededError as error:
            raise EndedEarlyError(str(error)) from None

    async def until_told(self, workflow_id: str, field: str, query: str = "progress") -> Any:
        """Wait until a field of a query's answer has a value, and return it. Raises
        EndedEarlyError.
        """
        told: list[Any] = []

        async def tells() -> bool:
            if await self.has_ended(workflow_id):
                raise EndedEarlyError(f"{workflow_id} ended too early.")
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
            what=f"{workflow_id} reports {field}",
            deadline_seconds=self.step_deadline_seconds,
        )
        return told[-1]

    @asynccontextmanager
    async def watched(self, workflow_id: str, query: str = "progress") -> AsyncIterator[None]:
        """Record a query's answer, an object, in the journal each time that it changes."""
        async with watched(self.handle(workflow_id), workflow_id, query, self.journal):
            yield

    @asynccontextmanager
    async def sampled(self, every_seconds: float = EVERY_SECONDS) -> AsyncIterator[None]:
        """Measure how many tasks wait in each task queue of the stack, so often, within the block.

            async with lab.sampled():
                ...

        `Evidence.samples` has them, as `backlog_tasks` and `backlog_age_seconds`. A measure that
        fails, such as while the server is down, is missing; nothing else comes of it. To measure
        until the last workflow has ended, give the case `sampled=True`.
        """
        queues = Queues(self.client, self.stack.temporal.prefix, lambda: self.stack.task_queues)
        async with sampled(queues, self.stack.samples, every_seconds):
            yield

    async def converge(self, deadline_seconds: float) -> None:
        """Wait until every expected workflow has ended or is lost. For those that should still
        run, wait only until they have no workflow task to do. Raises DeadlineExceededError.
        """
        should_run = [a.workflow_id for a in self.specs if a.status is Status.RUNNING]
        ids = [a.workflow_id for a in self.specs if a.status is not Status.RUNNING]
        await self._ends.until_ended(ids, deadline_seconds)
        for workflow_id in should_run:
            await self._ends.until_idle(workflow_id)

    async def has_ended(self, workflow_id: str) -> bool:
        """Whether a workflow has ended or is lost. One that is only expected may still start."""
        return await self._ends.has_ended(workflow_id)

    @property
    def _ends(self) -> Ends:
        return Ends(self.handle, self._not_yet, self.on_ended)

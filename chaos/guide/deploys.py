"""What the guide's deploys share: traffic that is always open, and workers of the two versions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from temporalio.api.enums.v1 import EventType, PendingActivityState
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import (
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHistory,
)
from temporalio.common import (
    AutoUpgradeVersioningOverride,
    PinnedVersioningOverride,
    VersioningOverride,
    WorkerDeploymentVersion,
)

from chaos.environment.target import Target
from chaos.environment.versions import VersionName, Versions
from chaos.environment.worker import WorkerProcess
from chaos.evidence.case import Evidence
from chaos.evidence.history import time_of
from chaos.evidence.journal import Event
from chaos.experiment.lab import Lab, start_workflow
from chaos.experiment.scenario import SURVIVAL
from chaos.guide.heading import no_workload
from chaos.guide.load import described, load
from chaos.invariants import Invariant
from chaos.invariants.figures import SECONDS, Figure
from chaos.process.waiting import DeadlineExceededError, wait_until

OPEN = 4
"""Workflows that are open at a time, spread over the length of one, so that a deploy meets each
part of it.
"""
MOST = 60
"""Workflows of a case; short ones are started again and again."""

_SHORTEST_SECONDS = 0.25
"""Between two starts."""
PATIENCE = 3
"""How many lengths of a workflow to wait for the best moment."""
_LONG_SHARE = 0.25
"""An activity that takes so much of the longest one's time is long: it is still in flight when a
worker is stopped that was seen to have it, also on a busy machine.
"""
_LOOK_SECONDS = 0.1
_IN_FLIGHT = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED


def no_versions(target: Target) -> str | None:
    """Why a target has no deploy that could be tested."""
    if missing := no_workload(target):
        return missing
    if target.versions is None:
        return "the target names no builds to deploy: name an old and a new one in Target.versions"
    return None


def versions_of(target: Target) -> Versions:
    """Those of a target that has some; `no_versions` says whether it has."""
    if target.versions is None:
        raise ValueError(f"{no_versions(target)}.")
    return target.versions


def invariants_of(target: Target, *, without: Sequence[Invariant] = ()) -> Sequence[Any]:
    """What must hold after a deploy of the new version, but for what its mistake breaks."""
    found = versions_of(target).invariants or target.invariants or SURVIVAL
    return tuple(each for each in found if each not in without)


@dataclass
class Traffic:
    """Workflows that start one after the other for as long as a deploy takes.

    `how` they start: as their code declares, or pinned to a version, or upgrading.
    """

    lab: Lab
    target: Target
    how: VersioningOverride | None = None
    _started: int = field(default=0, init=False)
    _open: list[str] = field(default_factory=list, init=False)
    _interval_seconds: float = field(default=_SHORTEST_SECONDS, init=False)
    _late_events: int = field(default=0, init=False)

    async def first(self) -> None:
        """Run one to its end, which shows that it does and how long it takes."""
        begin = asyncio.get_running_loop().time()
        workflow_id = await self.start()
        await self.lab.until_ended(workflow_id)
        took = asyncio.get_running_loop().time() - begin
        self._interval_seconds = max(_SHORTEST_SECONDS, took / OPEN)
        history = await self.lab.handle(workflow_id).fetch_history()
        self._late_events = events_before_its_last_long_activity(history)

    async def start(self) -> str:
        """Start one more; its id."""
        self._started += 1
        (spec,) = load(self.target, 1, first=self._started)
        await self.lab.start(spec, starter=partial(start_workflow, versioning=self.how))
        self._open.append(spec.workflow_id)
        return spec.workflow_id

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """Keep so many open, spread over their length, while the block runs."""
        over, before = asyncio.Event(), self._started
        task = asyncio.create_task(self._flow(over))

        async def are_started() -> bool:
            return task.done() or self._started >= min(MOST, before + OPEN)

        try:
            await self._until(are_started, f"{OPEN} more workflows are started")
            yield
        finally:
            over.set()
            await task

    async def _flow(self, over: asyncio.Event) -> None:
        while not over.is_set():
            if self._started < MOST and len(await self.open()) < OPEN:
                await self.start()
            try:
                async with asyncio.timeout(self._interval_seconds):
                    await over.wait()
            except TimeoutError:
                continue

    async def open(self) -> dict[str, WorkflowExecutionDescription]:
        """Those that have not ended, as the server describes them now."""
        asked = tuple(self._open)
        told = await asyncio.gather(*(described(self.lab, each) for each in asked))
        found = {name: each for name, each in zip(asked, told, strict=True) if each}
        ended = {n for n, d in found.items() if d.status is not WorkflowExecutionStatus.RUNNING}
        self._keep_pace(found[name] for name in ended)
        self._open = [each for each in self._open if each not in ended]
        return {name: each for name, each in found.items() if name not in ended}

    def _keep_pace(self, ended: Iterable[WorkflowExecutionDescription]) -> None:
        """Spread the starts over the shortest workflow so far: a machine that is just busy makes
        the first one long, and a deploy would meet none.
        """
        for each in ended:
            took = (each.close_time or each.start_time) - each.start_time
            spread = max(_SHORTEST_SECONDS, took.total_seconds() / OPEN)
            self._interval_seconds = min(self._interval_seconds, spread)

    async def until_at(self, worker: WorkerProcess) -> None:
        """Wait until this worker has an activity of one of them in flight, if possible a last long
        one: then most of its history is there, and it is still open at the stop. Where no activity
        is seen for so long, workflows that are open and wait will do: the proofs say whether the
        deploy met one.
        """
        least = self._late_events

        async def is_at_work() -> bool:
            found = (await self.open()).values()
            return any(_is_at(worker, each) and each.history_length >= least for each in found)

        what = f"{worker.child.name} has an activity in flight"
        try:
            await self._until(is_at_work, what, PATIENCE * OPEN * self._interval_seconds)
        except DeadlineExceededError:
            least = 0
            try:
                await self._until(is_at_work, what)
            except DeadlineExceededError as error:
                if not await self.open():
                    raise
                self.lab.note(str(error))

    async def until_each(
        self, has_come: Callable[[WorkflowExecutionDescription], Awaitable[bool]], what: str
    ) -> Sequence[str]:
        """Wait until it is so of each that is still open; which those are."""

        async def are_all() -> bool:
            return all([await has_come(each) for each in (await self.open()).values()])

        await self._until(are_all, what)
        return tuple(self._open)

    async def _until(
        self, condition: Callable[[], Awaitable[bool]], what: str, seconds: float | None = None
    ) -> None:
        await wait_until(
            condition,
            what=what,
            deadline_seconds=seconds or self.lab.step_deadline_seconds,
            interval_seconds=_LOOK_SECONDS,
        )


def events_before_its_last_long_activity(history: WorkflowHistory) -> int:
    """How many there were while that was in flight: its start is recorded with its end."""
    started: dict[int, HistoryEvent] = {}
    took: dict[int, float] = {}
    for event in history.events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            started[event.activity_task_started_event_attributes.scheduled_event_id] = event
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            begun = started[event.activity_task_completed_event_attributes.scheduled_event_id]
            took[begun.event_id - 1] = (time_of(event) - time_of(begun)).total_seconds()
    longest = max(took.values(), default=0.0)
    return max((n for n, each in took.items() if each >= _LONG_SHARE * longest), default=0)


def _is_at(worker: WorkerProcess, described: WorkflowExecutionDescription) -> bool:
    own = set(worker.child.identities) or {f"{pid}@" for pid in worker.pids}
    return any(
        pending.state == _IN_FLIGHT
        and own & {pending.last_worker_identity, f"{pending.last_worker_identity.split('@')[0]}@"}
        for pending in described.raw_description.pending_activities
    )


def pinned_to(versions: Versions, version: VersionName) -> VersioningOverride:
    """Starts a workflow that stays on a version."""
    build_id = versions.all[version].build_id
    return PinnedVersioningOverride(WorkerDeploymentVersion(versions.deployment, build_id))


def upgrading() -> VersioningOverride:
    """Starts a workflow that moves to the version which is current."""
    return AutoUpgradeVersioningOverride()


async def worker_of(lab: Lab, version: VersionName, *, versioned: bool = False) -> WorkerProcess:
    """One worker of a version, under the conditions of the target."""
    settings = lab.stack.target.drawn.settings
    return await lab.worker(version=version, versioned=versioned, settings=settings)


def stops(evidence: Evidence) -> Sequence[Figure]:
    """How long the slowest worker took to end after SIGTERM, and how many had to be killed."""
    took, killed = [], 0
    for entry in evidence.journal:
        if entry.event is Event.SIGNALED and entry.signal == "SIGTERM":
            pid, at = entry.pid, entry.at
            if gone := evidence.first_entry(Event.EXITED, after=at, pid=pid):
                took.append((gone.at - at).total_seconds())
            kill = evidence.first_entry(Event.SIGNALED, after=at, pid=pid, signal="SIGKILL")
            killed += kill is not None
    slowest = max(took, default=0.0)
    return (
        Figure(name="slowest stop of a worker", value=slowest, unit=SECONDS),
        Figure(name="workers killed at a stop", value=killed),
    )

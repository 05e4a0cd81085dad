"""The load of the guide's scenarios: the first workflow of `Target.specs`, as often as is asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.api.enums.v1 import PendingActivityState, PendingWorkflowTaskState
from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError

from chaos.environment.target import Target
from chaos.evidence.samples import BACKLOG
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.lab import EndedEarlyError, Lab
from chaos.experiment.sampling import Queues
from chaos.experiment.scenario import SURVIVAL
from chaos.invariants import Invariant
from chaos.invariants.exits import no_unplanned_exit
from chaos.process.waiting import DeadlineExceededError, wait_until

ACTIVITY_SECONDS = 20.0
"""How long a workload may take to its first activity; one that has none is waited for so long."""

IDLE_SECONDS = 10.0
"""After so long with nothing to do for a worker, workflows are taken for such as only wait."""

ACTIVITY_DONE = "activity * completing"
"""Where an activity has done what it does, and its worker is about to say so: the boundary."""

_ASK = timedelta(seconds=2)
_LOOK_SECONDS = 0.05
_COUNT_SECONDS = 0.2


def load(target: Target, count: int, first: int = 1) -> tuple[WorkflowSpec, ...]:
    """So many of the target's first workflow, `guide-1` and so on."""
    make = next(iter(target.specs.values()))
    return tuple(make(f"guide-{number}") for number in range(first, first + count))


async def start_all(lab: Lab, specs: Sequence[WorkflowSpec]) -> None:
    """Start all of them at once."""
    await asyncio.gather(*(lab.start(spec) for spec in specs))


@asynccontextmanager
async def held_with_work(lab: Lab, specs: Sequence[WorkflowSpec]) -> AsyncIterator[None]:
    """Start them, and enter the block when a worker on the wire has done an activity: its report is
    held until the block is over. Where no activity is done for so long, or there is none, what
    `until_at_work` waits for will do. Raises EndedEarlyError if all have ended before.
    """
    done = await lab.at(ACTIVITY_DONE, times=len(specs))
    done.deadline_seconds = ACTIVITY_SECONDS
    try:
        await start_all(lab, specs)
        looking = _Looking(lab, specs)
        try:
            await _first_of(done.reached(), looking.until_they_only_wait())
        except DeadlineExceededError:
            await until_at_work(lab, specs)
        yield
    finally:
        await done.release()


async def until_at_work(lab: Lab, specs: Sequence[WorkflowSpec]) -> None:
    """Wait until a worker has an activity of one of them in flight, by the server; where they have
    none for so long, a workflow task will do. Where they only wait, for a timer or a signal, a
    worker has no more of them than their state, and the proofs say whether that was hit. Raises
    EndedEarlyError if all have ended before.
    """
    try:
        await _until(lab, specs, _has_activity, "an activity", ACTIVITY_SECONDS)
    except DeadlineExceededError:
        await _until(lab, specs, _has_task, "a workflow task", lab.step_deadline_seconds)


async def _until(
    lab: Lab,
    specs: Sequence[WorkflowSpec],
    has_it: Callable[[WorkflowExecutionDescription], bool],
    what: str,
    deadline_seconds: float,
) -> None:
    looking = _Looking(lab, specs)

    async def is_there() -> bool:
        only_wait = await looking.only_wait()
        return only_wait or any(map(has_it, looking.known))

    await wait_until(
        is_there,
        what=f"a worker has {what} in flight",
        deadline_seconds=deadline_seconds,
        interval_seconds=_LOOK_SECONDS,
    )


@dataclass
class _Looking:
    """What the server says of some workflows, and since when they have had nothing to do."""

    lab: Lab
    specs: Sequence[WorkflowSpec]
    known: Sequence[WorkflowExecutionDescription] = ()
    _idle_since: float | None = None

    async def only_wait(self) -> bool:
        """Ask the server: whether none of them has had anything for a worker for a while. Raises
        EndedEarlyError if all have ended.
        """
        told = await asyncio.gather(*(described(self.lab, spec.workflow_id) for spec in self.specs))
        self.known = [each for each in told if each]
        running = [d for d in self.known if d.status is WorkflowExecutionStatus.RUNNING]
        if self.known and not running:
            raise EndedEarlyError("all workflows ended before a worker was seen at work.")
        now = time.monotonic()
        if not running or any(map(_has_something, running)):
            self._idle_since = None
            return False
        self._idle_since = now if self._idle_since is None else self._idle_since
        if now - self._idle_since < IDLE_SECONDS:
            return False
        self.lab.note("the workflows only wait: their state at a worker is all that can be hit")
        return True

    async def until_they_only_wait(self) -> None:
        """Return when it is so. Raises EndedEarlyError, DeadlineExceededError."""
        await wait_until(
            self.only_wait,
            what="the workflows only wait",
            deadline_seconds=ACTIVITY_SECONDS,
            interval_seconds=_COUNT_SECONDS,
        )


async def _first_of(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait for the first of them, whose error is raised; the others are cancelled."""
    tasks = [asyncio.ensure_future(each) for each in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def _has_something(described: WorkflowExecutionDescription) -> bool:
    """Whether a worker has, or will get, something to do for it or for a child of it."""
    raw = described.raw_description
    return bool(
        raw.pending_activities or raw.pending_children or raw.HasField("pending_workflow_task")
    )


async def described(lab: Lab, workflow_id: str) -> WorkflowExecutionDescription | None:
    """What the server says of it; None where it does not answer in time."""
    try:
        return await lab.handle(workflow_id).describe(rpc_timeout=_ASK)
    except RPCError:
        return None


def _has_activity(described: WorkflowExecutionDescription) -> bool:
    started = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
    return any(each.state == started for each in described.raw_description.pending_activities)


def _has_task(described: WorkflowExecutionDescription) -> bool:
    task = described.raw_description.pending_workflow_task
    return bool(task.state == PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_STARTED)


async def backlog(lab: Lab) -> Mapping[str, float]:
    """How many tasks wait now in the stack's task queues, by their kind: workflow or activity."""
    queues = Queues(lab.client, lab.stack.temporal.prefix, lambda: lab.stack.task_queues)
    found: dict[str, float] = {}
    for sample in await queues.sample():
        if sample.name == BACKLOG:
            kind = sample.labels["kind"]
            found[kind] = found.get(kind, 0.0) + sample.value
    return found


async def until_waiting(lab: Lab, kind: str, count: int, deadline_seconds: float) -> None:
    """Wait until so many tasks of a kind wait for a worker. Raises DeadlineExceededError."""

    async def are_waiting() -> bool:
        return (await backlog(lab)).get(kind, 0.0) >= count

    await wait_until(
        are_waiting,
        what=f"{count} {kind} task(s) wait for a worker",
        deadline_seconds=deadline_seconds,
        interval_seconds=_COUNT_SECONDS,
    )


async def prepared(lab: Lab) -> Mapping[str, str]:
    """What a search does before its first workflow; the settings of its workers."""
    conditions = lab.stack.target.drawn
    if conditions.prepare:
        await conditions.prepare(lab)
    return conditions.settings


def invariants_of(target: Target) -> tuple[Invariant, ...]:
    """What must hold of a target whatever breaks: what it says, or else what must of anybody's."""
    found = tuple(target.invariants or SURVIVAL)  # one made with a list has no hash
    return found if no_unplanned_exit in found else (*found, no_unplanned_exit)

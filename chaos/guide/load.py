"""The load of the guide's scenarios: the first workflow of `Target.specs`, as often as is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

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

TASK_SECONDS = 5.0
"""How long a workflow task is looked for where there is no activity: it may take milliseconds."""

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
    held until the block is over. Where no activity is done for so long, what `until_at_work` waits
    for will do. Raises EndedEarlyError if all have ended before.
    """
    done = await lab.at(ACTIVITY_DONE, times=len(specs))
    done.deadline_seconds = ACTIVITY_SECONDS
    try:
        await start_all(lab, specs)
        try:
            await done.reached()
        except DeadlineExceededError:
            await until_at_work(lab, specs)
        yield
    finally:
        await done.release()


async def until_at_work(lab: Lab, specs: Sequence[WorkflowSpec]) -> None:
    """Wait until a worker has an activity of one of them in flight, by the server; where they have
    none for so long, a workflow task will do. Where none is seen either, they only wait, for a
    timer or a signal: a worker has no more of them than their state, and the proofs say whether
    that was hit. Raises EndedEarlyError if all have ended before.
    """
    try:
        await _until(lab, specs, _has_activity, "an activity", ACTIVITY_SECONDS)
    except DeadlineExceededError:
        try:
            await _until(lab, specs, _has_task, "a workflow task", TASK_SECONDS)
        except DeadlineExceededError as error:
            lab.note(str(error))


async def _until(
    lab: Lab,
    specs: Sequence[WorkflowSpec],
    has_it: Callable[[WorkflowExecutionDescription], bool],
    what: str,
    deadline_seconds: float,
) -> None:
    async def is_there() -> bool:
        told = await asyncio.gather(*(described(lab, spec.workflow_id) for spec in specs))
        known = [each for each in told if each]
        if known and all(d.status is not WorkflowExecutionStatus.RUNNING for d in known):
            raise EndedEarlyError("all workflows ended before a worker was seen at work.")
        return any(map(has_it, known))

    await wait_until(
        is_there,
        what=f"a worker has {what} in flight",
        deadline_seconds=deadline_seconds,
        interval_seconds=_LOOK_SECONDS,
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
    return tuple(dict.fromkeys((*(target.invariants or SURVIVAL), no_unplanned_exit)))

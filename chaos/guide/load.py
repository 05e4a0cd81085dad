"""The load of the guide's scenarios: the first workflow of `Target.specs`, as often as is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from temporalio.api.enums.v1 import PendingActivityState, PendingWorkflowTaskState
from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError

from chaos.environment.target import Target
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.lab import EndedEarlyError, Lab
from chaos.process.waiting import wait_until

_ASK_SECONDS = 2.0
_LOOK_SECONDS = 0.05


def load(target: Target, count: int, first: int = 1) -> tuple[WorkflowSpec, ...]:
    """So many of the target's first workflow, `guide-1` and so on."""
    make = next(iter(target.specs.values()))
    return tuple(make(f"guide-{number}") for number in range(first, first + count))


async def start_all(lab: Lab, specs: Sequence[WorkflowSpec]) -> None:
    """Start all of them at once."""
    await asyncio.gather(*(lab.start(spec) for spec in specs))


async def until_at_work(lab: Lab, specs: Sequence[WorkflowSpec]) -> None:
    """Wait until a worker has a task of one of them in flight, by the server. Raises
    EndedEarlyError if all have ended before that.
    """

    async def is_at_work() -> bool:
        told = await asyncio.gather(*(_described(lab, spec) for spec in specs))
        known = [each for each in told if each]
        if known and all(d.status is not WorkflowExecutionStatus.RUNNING for d in known):
            raise EndedEarlyError("all workflows ended before a worker was seen at work.")
        return any(map(_is_in_flight, known))

    await wait_until(
        is_at_work,
        what="a worker has a task in flight",
        deadline_seconds=lab.step_deadline_seconds,
        interval_seconds=_LOOK_SECONDS,
    )


async def _described(lab: Lab, spec: WorkflowSpec) -> WorkflowExecutionDescription | None:
    """What the server says of it; None where it does not answer in time."""
    try:
        return await lab.handle(spec.workflow_id).describe(
            rpc_timeout=timedelta(seconds=_ASK_SECONDS)
        )
    except RPCError:
        return None


def _is_in_flight(described: WorkflowExecutionDescription) -> bool:
    raw = described.raw_description
    started = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
    if any(pending.state == started for pending in raw.pending_activities):
        return True
    task = PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_STARTED
    return raw.HasField("pending_workflow_task") and raw.pending_workflow_task.state == task

"""What an open workflow waits for, and how long, by its own timeouts; and how long to wait for it.

A timeout of ten minutes is known without waiting for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import EventType
from temporalio.service import RPCError

from chaos.evidence.history import Activity, Workflow, time_of
from chaos.evidence.pending import PendingActivity, pending_of
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.lab import Lab
from chaos.invariants.hanging import policy_told
from chaos.process.waiting import wait_until

NEVER = math.inf

MANY_ATTEMPTS = 4
"""Of a workflow task: the first may be lost with its worker, and one more on a busy machine."""

DEAF_SECONDS = 10.0
"""How long an activity may continue after a heartbeat that delivered its cancellation."""


_LOOK_SECONDS = 1.0

_LOOKS = 2
"""In how many checks in a row a workflow must wait for the same: it may still continue."""

_ASK_SECONDS = 0.1


@dataclass(frozen=True)
class Wait:
    """One thing that a workflow waits for. `seconds` after the disturbance it continues by itself,
    at the earliest; `NEVER` if nothing known will make it. `is_certain` if it does not depend on
    the machine's speed.
    """

    text: str
    seconds: float
    is_certain: bool = False


def waits(
    workflow: Workflow, hit_at: datetime, children: Sequence[Workflow] = ()
) -> Sequence[Wait]:
    """Everything that it waits for, by the server's description; empty if that is not on record."""
    pending = workflow.pending
    if pending is None:
        return []
    found = [
        *_task(workflow, hit_at),
        *(_activity(workflow, each, hit_at) for each in pending.activities),
        *(_timer(due, hit_at) for due in workflow.timers),
        *(wait for child in children for wait in waits(child, hit_at)),
    ]
    if found:
        return found
    return [Wait("it waits for a signal, an update or a condition: nothing is pending", NEVER)]


def shortest(found: Sequence[Wait]) -> Wait | None:
    """What it waits for that ends first; None if nothing is known."""
    return min(found, key=lambda wait: wait.seconds, default=None)


def outlasts(found: Sequence[Wait], patience_seconds: float) -> Wait | None:
    """What a workflow certainly waits for beyond the patience, so that waiting is useless; None if
    it may continue before.
    """
    first = shortest(found)
    return first if first and first.is_certain and first.seconds > patience_seconds else None


def _activity(workflow: Workflow, pending: PendingActivity, hit_at: datetime) -> Wait:
    scheduled = next((a for a in workflow.activities if a.activity_id == pending.activity_id), None)
    name = f"{pending.kind}, attempt {pending.attempt}"
    if pending.started_at is None:
        due = _since(hit_at, pending.due_at) if pending.due_at else 0.0
        why = f", because the last failed: {pending.last_failure}" if pending.last_failure else ""
        if workflow.pending and pending.due_at and pending.due_at > workflow.pending.at:
            return Wait(f"{name} is due after {due:.0f} s{why}", due, is_certain=True)
        return Wait(f"{name} waits for a worker{why}", max(0.0, due))
    if pending.cancel_requested and _has_heard(workflow, scheduled, pending):
        text = f"{name} was asked to cancel, and continues as if it had not been"
        return Wait(text, NEVER, is_certain=True)
    if scheduled is None or pending.started_at > hit_at:
        return Wait(f"{name} runs", 0.0)
    again_at, limit = _taken_up_again(scheduled, pending)
    policy = policy_told(scheduled) or f"its heartbeat timeout is {limit:g} s"
    seconds = _since(hit_at, again_at)
    return Wait(
        f"{name} is with no worker, and would be retried only after {seconds:.0f} s: {policy}",
        seconds,
        is_certain=True,
    )


def _has_heard(workflow: Workflow, activity: Activity | None, pending: PendingActivity) -> bool:
    """Whether its heartbeats have long been answered by its cancellation."""
    asked = [
        time_of(event)
        for event in workflow.events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED
    ]
    if not asked or activity is None or pending.heartbeat_at is None:
        return False
    return (pending.heartbeat_at - max(asked)).total_seconds() > DEAF_SECONDS


def _taken_up_again(activity: Activity, pending: PendingActivity) -> tuple[datetime, float]:
    """When the server gives up an attempt that no worker has, and by which limit."""
    started = pending.started_at or activity.scheduled_at
    if activity.has_heartbeats:
        alive = max(started, pending.heartbeat_at or started)
        return alive + timedelta(seconds=activity.heartbeat_seconds), activity.heartbeat_seconds
    if activity.start_to_close_seconds:
        limit = activity.start_to_close_seconds
        return started + timedelta(seconds=limit), limit
    limit = activity.schedule_to_close_seconds
    return activity.scheduled_at + timedelta(seconds=limit), limit


def _task(workflow: Workflow, hit_at: datetime) -> Iterator[Wait]:
    task = workflow.pending.task if workflow.pending else None
    if task is None:
        return
    if failing := workflow.failing:
        is_certain = "NonDeterministic" in failing.cause or task.attempt >= MANY_ATTEMPTS
        text = f"its workflow task fails again and again (attempt {task.attempt}): {failing}"
        yield Wait(text, NEVER, is_certain=is_certain)
    elif task.attempt >= MANY_ATTEMPTS:
        yield Wait(
            f"its workflow task is at attempt {task.attempt}: workers get it, and none completes "
            "it; SDKs report a failed replay only at the first attempt",
            NEVER,
            is_certain=True,
        )
    elif task.started_at:
        limit = workflow.task_seconds
        seconds = _since(hit_at, task.started_at) + limit
        yield Wait(f"its workflow task may take {limit:g} s from its start", seconds)
    else:
        yield Wait(f"its workflow task, attempt {task.attempt}, waits for a worker", 0.0)


def _timer(due: datetime, hit_at: datetime) -> Wait:
    seconds = _since(hit_at, due)
    return Wait(f"a timer of its own ends after {seconds:.0f} s", seconds, is_certain=True)


def _since(hit_at: datetime, then: datetime) -> float:
    return max(0.0, (then - hit_at).total_seconds())


@dataclass(frozen=True)
class Patience:
    """`seconds` is how long it may make no progress, beyond its undisturbed time."""

    seconds: float
    undisturbed_seconds: float

    @property
    def longest_wait_seconds(self) -> float:
        """A workflow that certainly takes longer is given up; its timers run undisturbed, too."""
        return self.seconds + self.undisturbed_seconds

    async def wait(self, lab: Lab, spec: WorkflowSpec) -> None:
        """Wait until it ends, or is certainly stuck for longer. Raises DeadlineExceededError."""
        look = _Look(lab, spec, datetime.now(UTC), self.longest_wait_seconds)
        await wait_until(
            look.is_over,
            what=f"{spec.workflow_id} ends",
            deadline_seconds=self.seconds + 2 * self.undisturbed_seconds,
            interval_seconds=_ASK_SECONDS,
        )


@dataclass
class _Look:
    """Asks the server. `since` is when the workflow was disturbed, or shortly after."""

    lab: Lab
    spec: WorkflowSpec
    since: datetime
    patience_seconds: float
    _looked_at: datetime | None = None
    _found: int = 0

    async def is_over(self) -> bool:
        if await self.lab.has_ended(self.spec.workflow_id):
            return True
        now = datetime.now(UTC)
        if (now - (self._looked_at or self.since)).total_seconds() >= _LOOK_SECONDS:
            self._looked_at = now
            self._found = self._found + 1 if await self._stands_still() else 0
        return self._found >= _LOOKS

    async def _stands_still(self) -> bool:
        handle = self.lab.handle(self.spec.workflow_id)
        try:
            pending = await pending_of(self.lab.client, handle.id)
            workflow = Workflow(handle.id, [await handle.fetch_history()], pending=pending)
        except RPCError:
            return False
        return outlasts(waits(workflow, self.since), self.patience_seconds) is not None

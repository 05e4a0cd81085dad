"""What an open workflow waits for, and how long, by its own timeouts; and how long to wait for it.

Nobody has to wait for a timeout of ten minutes to know that it is one.
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
"""For so long an activity may go on after a heartbeat that told it of its cancellation."""


_LOOK_SECONDS = 1.0

_LOOKS = 2
"""In how many looks, one after the other, a workflow has to wait for the same: it may go on."""

_ASK_SECONDS = 0.1


@dataclass(frozen=True)
class Wait:
    """One thing that a workflow waits for. `seconds` after the disturbance it goes on by itself, at
    the earliest; `NEVER` where nothing that is known will make it. `is_certain` where it is no
    matter of how fast a machine is.
    """

    text: str
    seconds: float
    is_certain: bool = False


def waits(
    workflow: Workflow, hit_at: datetime, children: Sequence[Workflow] = ()
) -> Sequence[Wait]:
    """All that it waits for, by the server's description; empty where that is not on record."""
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
    """What makes it go on first; None where nothing is known."""
    return min(found, key=lambda wait: wait.seconds, default=None)


def outlasts(found: Sequence[Wait], patience_seconds: float) -> Wait | None:
    """What a workflow is certain to wait for beyond all patience, so that nobody has to; None where
    it may go on before.
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
    """When the server gives up an attempt that nobody has, and which limit that is."""
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
    """`seconds` are those that it may stand still; beyond what it takes undisturbed."""

    seconds: float
    undisturbed_seconds: float

    @property
    def longest_wait_seconds(self) -> float:
        """What is certain to take longer is given up: its own timers run undisturbed as well."""
        return self.seconds + self.undisturbed_seconds

    async def wait(self, lab: Lab, spec: WorkflowSpec) -> None:
        """Until it ends, or is certain to stand still for longer. Raises DeadlineExceededError."""
        look = _Look(lab, spec, datetime.now(UTC), self.longest_wait_seconds)
        await wait_until(
            look.is_over,
            what=f"{spec.workflow_id} ends",
            deadline_seconds=self.seconds + 2 * self.undisturbed_seconds,
            interval_seconds=_ASK_SECONDS,
        )


@dataclass
class _Look:
    """Asks the server. `since` is when the workflow was disturbed, or a moment later."""

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

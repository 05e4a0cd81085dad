"""Why an open workflow does not continue, in words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from chaos.evidence.case import Evidence
from chaos.evidence.history import Activity, Workflow
from chaos.evidence.pending import Pending, PendingActivity, PendingTask, Queued

_MOST = 3
"""Items of one kind to show; more would hide what matters."""


def hanging(evidence: Evidence, workflow: Workflow) -> str:
    """What an open workflow waited for at the end; empty if the server was not asked."""
    pending = workflow.pending
    if pending is None:
        return ""
    found = [
        *([_task(workflow, pending, pending.task)] if pending.task else []),
        *_shortened([_activity(workflow, pending, each) for each in pending.activities]),
        *_shortened(list(_children(evidence, pending))),
        *_shortened([f"waits for a timer, {_due(pending.at, at)}" for at in workflow.timers]),
    ]
    return "; ".join(found) or "waits for a signal, an update or a condition: nothing is pending"


def policy_told(activity: Activity) -> str:
    """If only a time limit would reveal a dead worker, that limit; else empty."""
    if activity.has_heartbeats:
        return ""
    limit = activity.start_to_close_seconds or activity.schedule_to_close_seconds
    name = "start-to-close" if activity.start_to_close_seconds else "schedule-to-close"
    if activity.heartbeat_seconds:
        return (
            f"its heartbeat timeout of {activity.heartbeat_seconds:g} s is not below its {name} "
            f"of {limit:g} s"
        )
    return f"it has no heartbeat timeout; its {name} is {limit:g} s"


def attempt_told(activity: PendingActivity, at: datetime) -> str:
    """The present or next attempt of an open activity, and why it is not done."""
    words = f"at attempt {activity.attempt}"
    if activity.last_failure:
        words += f", last failure {activity.last_failure}"
    if activity.started_at:
        return f"{words}, started {_ago(at, activity.started_at)} by {activity.worker}"
    if activity.due_at and activity.due_at > at:
        return f"{words}, next try {_due(at, activity.due_at).removeprefix('due ')}"
    since = f"scheduled {_ago(at, activity.due_at)}" if activity.due_at else "scheduled"
    return f"{words}, waits for a worker: {since}{_polled(at, activity.queue)}"


def _activity(workflow: Workflow, pending: Pending, activity: PendingActivity) -> str:
    words = f"{activity.kind} {attempt_told(activity, pending.at)}"
    if activity.cancel_requested:
        words += ", cancellation requested"
    if activity.started_at:
        if activity.heartbeat_at and activity.heartbeat_at >= activity.started_at:
            words += f", last heartbeat {_ago(pending.at, activity.heartbeat_at)}"
        scheduled = next((a for a in workflow.activities if a.pending is activity), None)
        policy = policy_told(scheduled) if scheduled else ""
        words += f" ({policy})" if policy else ""
    return words


def _task(workflow: Workflow, pending: Pending, task: PendingTask) -> str:
    if failing := workflow.failing:
        return (
            f"its workflow task is at attempt {task.attempt}, and has failed since "
            f"{_clock(failing.at)}: {failing}"
        )
    words = f"its workflow task is at attempt {task.attempt}"
    if task.started_at:
        return f"{words}, started {_ago(pending.at, task.started_at)} by a worker"
    since = f"scheduled {_ago(pending.at, task.since)}"
    if workflow.is_task_sticky:
        return f"{words}, waits for the worker that had the last one: {since} in its sticky queue"
    return f"{words}, waits for a worker: {since}{_polled(pending.at, task.queue)}"


def _children(evidence: Evidence, pending: Pending) -> Iterator[str]:
    known = {(w.workflow_id, run.run_id): w for w in evidence.children for run in w.runs}
    specified = {evidence.real_id(w.workflow_id): w for w in evidence.workflows.values()}
    for child in pending.children:
        found = specified.get(child.workflow_id) or known.get((child.workflow_id, child.run_id))
        words = f"child {child.workflow_id or child.kind} is open"
        reason = hanging(evidence, found) if found else ""
        yield f"{words}: {reason}" if reason else words


def _polled(at: datetime, queue: Queued | None) -> str:
    if queue is None:
        return ""
    if queue.polled_at is None:
        return f", no worker polls {queue.name}"
    return f", {queue.name} was last polled {_ago(at, queue.polled_at)} by {queue.polled_by}"


def _shortened(found: list[str]) -> list[str]:
    return found if len(found) <= _MOST else [*found[:_MOST], f"and {len(found) - _MOST} more"]


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S} UTC"


def _ago(now: datetime, at: datetime) -> str:
    return f"{max(0.0, (now - at).total_seconds()):.0f} s ago"


def _due(now: datetime, at: datetime) -> str:
    seconds = (at - now).total_seconds()
    when = f"in {seconds:.0f} s" if seconds >= 0 else f"{-seconds:.0f} s ago"
    return f"due at {_clock(at)} ({when})"

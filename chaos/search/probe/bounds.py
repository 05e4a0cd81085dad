"""How long it may take until work goes on after a disturbance, by the workflow's own timeouts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from chaos.evidence.case import Evidence
from chaos.evidence.history import Activity, Workflow
from chaos.invariants.recovery import handover_seconds
from chaos.wire.boundary import Boundary, Kind, Stage
from chaos.wire.journal import Polled, WireRecords

_IN_HAND = {Stage.ASSIGNED, Stage.DELIVERED, Stage.COMPLETING, Stage.FAILING}


def bound_seconds(
    evidence: Evidence,
    wire: WireRecords,
    workflow: Workflow,
    boundaries: Sequence[Boundary],
    hit_at: datetime,
) -> float | None:
    """When all is due again that a call was at, such as a workflow task that was reported and the
    activity that came with the reply, or a new worker polls, and a handover; None where the history
    does not tell what was.
    """
    found = [_due_seconds(workflow, boundary) for boundary in boundaries]
    due = max((seconds for seconds in found if seconds is not None), default=None)
    if due is None:
        return None
    polls = [r.at for line in wire.values() for r in line if isinstance(r, Polled)]
    started_at = min((at for at in polls if at > hit_at), default=hit_at)
    started = (started_at - hit_at).total_seconds()
    return round(max(due, started) + handover_seconds(evidence), 3)


def _due_seconds(workflow: Workflow, boundary: Boundary) -> float | None:
    if boundary.kind is Kind.ACTIVITY and boundary.stage in _IN_HAND:
        same = [each for each in workflow.activities if each.kind == boundary.subject]
        if boundary.ordinal > len(same):
            return None
        activity = same[boundary.ordinal - 1]
        return _limit_seconds(activity) + activity.retry_policy.initial_interval.ToSeconds()
    if boundary.kind in {Kind.ACTIVITY, Kind.WORKFLOW_TASK}:
        return workflow.task_seconds
    return None


def _limit_seconds(activity: Activity) -> float:
    """How long the server takes a dead worker's attempt for one that is at work."""
    if activity.has_heartbeats:
        return activity.heartbeat_seconds
    return activity.start_to_close_seconds or activity.schedule_to_close_seconds

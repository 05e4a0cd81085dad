"""How long a recovery took, split into its four parts, from evidence alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from chaos.cluster.roles import CLUSTER_TARGETS
from chaos.evidence import Evidence
from chaos.history import Activity
from chaos.journal import Entry, Event


class Recovery(BaseModel):
    """Seconds from a fault until what it broke is done again.

    `detect`: until the loss is noticed, at most the heartbeat timeout. `reschedule`: the retry
    policy's own wait. `restart`: what the next attempt waited beyond that for a worker or the
    server. `redo`: from its start until the activity is done.
    """

    model_config = ConfigDict(frozen=True)

    total: float
    detect: float
    reschedule: float
    restart: float
    redo: float


def recoveries(evidence: Evidence) -> Mapping[datetime, Recovery]:
    """The recovery from each fault, by the fault's time; a fault that cost none has no entry."""
    found = {}
    for fault in evidence.journal:
        if fault.event is not Event.FAULT:
            continue
        recovery = (
            _of_cluster(evidence, fault)
            or _of_server(evidence, fault)
            or _of_worker(evidence, fault)
        )
        if recovery:
            found[fault.at] = recovery
    return found


def repeated_attempts(evidence: Evidence) -> Mapping[datetime, int]:
    """The attempts beyond the first of the activities that each fault met, by the fault's time.

    An activity meets the first fault of its life, or else the last one before it.
    """
    faults = sorted(entry.at for entry in evidence.journal if entry.event is Event.FAULT)
    found = dict.fromkeys(faults, 0)
    for workflow in evidence.workflows.values():
        for activity in workflow.activities:
            met = _met(activity, faults)
            if met:
                found[met] += max(0, activity.attempt - 1)
    return found


def _met(activity: Activity, faults: Sequence[datetime]) -> datetime | None:
    within = [
        at
        for at in faults
        if activity.scheduled_at <= at and (activity.closed_at is None or at <= activity.closed_at)
    ]
    before = [at for at in faults if at < activity.scheduled_at]
    return within[0] if within else before[-1] if before else None


def _of_cluster(evidence: Evidence, fault: Entry) -> Recovery | None:
    """Until the first activity is done that was scheduled after it: a call through every role."""
    if fault.target not in CLUSTER_TARGETS:
        return None
    healed = evidence.first_entry(Event.HEALED, after=fault.at, target=fault.target)
    done = [
        activity.closed_at
        for workflow in evidence.workflows.values()
        for activity in workflow.activities
        if activity.closed_at and activity.scheduled_at > fault.at
    ]
    if healed is None or not done:
        return None
    total = (min(done) - fault.at).total_seconds()
    restart = min(total, (healed.at - fault.at).total_seconds())
    return _recovery(0.0, 0.0, restart, total - restart)


def _of_worker(evidence: Evidence, fault: Entry) -> Recovery | None:
    """From the first attempt after the fault that took over one which had gone silent."""
    later = [
        (activity.started_at, activity.closed_at, activity)
        for workflow in evidence.workflows.values()
        for activity in workflow.activities
        if activity.lost_its_heartbeat
        and activity.started_at
        and activity.closed_at
        and activity.started_at > fault.at
    ]
    if not later:
        return None
    started_at, closed_at, activity = min(later, key=lambda found: found[0])
    waited = (started_at - fault.at).total_seconds()
    reschedule = _backoff_seconds(activity)
    detect = min(max(0.0, waited - reschedule), activity.heartbeat_seconds)
    redo = (closed_at - started_at).total_seconds()
    return _recovery(detect, reschedule, max(0.0, waited - reschedule - detect), redo)


def _of_server(evidence: Evidence, fault: Entry) -> Recovery | None:
    """From the server's readiness and the first event that it recorded after it."""
    if fault.target != "temporal-server":
        return None
    ready = evidence.first_entry(Event.READY, after=fault.at, target=fault.target)
    if ready is None:
        return None
    closed = [
        activity.closed_at
        for workflow in evidence.workflows.values()
        for activity in workflow.activities
        if activity.closed_at and activity.closed_at > ready.at
    ]
    if not closed:
        return None
    restart = (ready.at - fault.at).total_seconds()
    return _recovery(0.0, 0.0, restart, (min(closed) - ready.at).total_seconds())


def _backoff_seconds(activity: Activity) -> float:
    policy = activity.retry_policy
    first: float = policy.initial_interval.ToTimedelta().total_seconds()
    return float(first * policy.backoff_coefficient ** (activity.attempt - 2))


def _recovery(detect: float, reschedule: float, restart: float, redo: float) -> Recovery:
    parts = [round(part, 3) for part in (detect, reschedule, restart, redo)]
    return Recovery(
        total=round(sum(parts), 3),
        detect=parts[0],
        reschedule=parts[1],
        restart=parts[2],
        redo=parts[3],
    )

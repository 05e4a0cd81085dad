"""How long a recovery took, split into its four parts, from evidence only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from chaos.evidence.case import Evidence
from chaos.evidence.history import Activity
from chaos.evidence.journal import Entry, Event
from chaos.invariants.recovery.bounds import bound_seconds, counted_from, silent_from
from chaos.invariants.recovery.faults import ended_at, is_outage, may_concern, queues
from chaos.invariants.recovery.retries import Loss, Retry, first_retries, starts

_Seconds = Annotated[float, Field(gt=-1e9, lt=1e9, allow_inf_nan=False)]
"""How far below zero a difference of two clocks may be."""


def _none_is_endless(value: object) -> object:
    return math.inf if value is None else value


_Bound = Annotated[
    float,
    Field(gt=-1e9),
    BeforeValidator(_none_is_endless),
    WithJsonSchema({"anyOf": [{"exclusiveMinimum": -1e9, "type": "number"}, {"type": "null"}]}),
]
"""JSON knows no infinity: there it is null."""


class Recovery(BaseModel):
    """Seconds from a fault until what it broke is done again.

    `detect`: until the loss is noticed, at most the heartbeat timeout. `reschedule`: the retry
    policy's own wait. `restart`: what the next attempt waited beyond that for a worker or the
    server. `redo`: from its start until the activity is done. `bound`: the most that the first
    three may take together; infinite (in JSON null) where the case has no invariant of that, or an
    older version did not record it.
    """

    model_config = ConfigDict(frozen=True)

    total: _Seconds
    detect: _Seconds
    reschedule: _Seconds
    restart: _Seconds
    redo: _Seconds
    bound: _Bound = math.inf

    @property
    def waited(self) -> float:
        """Seconds until the next attempt began, or the server answered again."""
        return self.detect + self.reschedule + self.restart


def recoveries(evidence: Evidence) -> Mapping[datetime, Recovery]:
    """The recovery from each fault, by the fault's time; a fault that cost none has no entry."""
    found = {}
    retries = first_retries(evidence)
    for fault in evidence.journal:
        if fault.event is not Event.FAULT:
            continue
        retry = retries.get(fault.at)
        recovery = _by_retry(evidence, fault, retry) if retry else _from_outage(evidence, fault)
        if recovery:
            found[fault.at] = recovery
    return found


def repeated_attempts(evidence: Evidence) -> Mapping[datetime, int]:
    """The attempts beyond the first of the activities that each fault hit, by the fault's time. An
    activity is hit by the first fault during its life, or else by the last one before it.
    """
    faults = sorted(entry.at for entry in evidence.journal if entry.event is Event.FAULT)
    found = dict.fromkeys(faults, 0)
    for workflow in evidence.all_workflows:
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


def _by_retry(evidence: Evidence, fault: Entry, retry: Retry) -> Recovery:
    """Until the first attempt is done that replaced one which the fault ended."""
    origin = counted_from(evidence, fault, retry)
    waited = (retry.started_at - origin).total_seconds()
    reschedule = min(waited, retry.backoff_seconds)
    detect = 0.0
    if retry.loss is Loss.SILENT:
        living = (silent_from(evidence, fault) - fault.at).total_seconds()
        detect = min(waited - reschedule, living + retry.silence_seconds)
    elif origin == fault.at and retry.loss is Loss.FAILED:
        detect = waited - reschedule
    return _recovery(
        detect,
        reschedule,
        waited - reschedule - detect,
        (retry.closed_at - retry.started_at).total_seconds(),
        bound_seconds(evidence, fault, retry),
    )


def _from_outage(evidence: Evidence, fault: Entry) -> Recovery | None:
    """Until the first activity is done that was scheduled after it: a call through every role.

    The time in which nothing waited for the server does not count as restart.
    """
    back = ended_at(evidence, fault) if is_outage(fault) else None
    known = queues(evidence)
    later = [
        start
        for start in starts(evidence)
        if start.activity.scheduled_at > fault.at and may_concern(known, fault, start.workflow)
    ]
    if back is None or not later:
        return None
    first = min(later, key=lambda start: start.closed_at)
    lag = (first.started_at - max(back, first.activity.scheduled_at)).total_seconds()
    restart = (min(back, first.started_at) - fault.at).total_seconds() + max(0.0, lag)
    total = (first.closed_at - fault.at).total_seconds()
    return _recovery(0.0, 0.0, restart, total - restart, bound_seconds(evidence, fault, first))


def _recovery(
    detect: float, reschedule: float, restart: float, redo: float, bound: float
) -> Recovery:
    parts = [round(part, 3) for part in (detect, reschedule, restart, redo)]
    return Recovery(
        total=round(sum(parts), 3),
        detect=parts[0],
        reschedule=parts[1],
        restart=parts[2],
        redo=parts[3],
        bound=round(bound, 3),
    )

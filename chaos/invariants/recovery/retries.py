"""Attempts that followed a failed one, and the fault that caused each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from temporalio.api.enums.v1 import TimeoutType
from temporalio.api.failure.v1 import Failure

from chaos.evidence.case import Evidence
from chaos.evidence.history import WORKER_LOST, Activity, Workflow
from chaos.evidence.journal import Entry
from chaos.invariants.recovery.faults import (
    COMMAND,
    Component,
    Queues,
    component_of,
    faults,
    may_concern,
    queues,
)

RESTORE = "restore"
"""The kind of the journal's entry that a server's database was put back from its backup."""

_CLOCK_SECONDS = 1.0
"""How much the clocks of the server, the worker and the harness may differ."""


class Loss(Enum):
    """How an attempt was lost: it timed out, a supervisor saw its worker die, or it failed."""

    SILENT = "silent"
    SEEN = "seen"
    FAILED = "failed"


_CAUSES = {
    Loss.SILENT: (Component.WORKER, Component.SERVER),
    Loss.SEEN: (Component.WORKER,),
    Loss.FAILED: (Component.OTHER,),
}


@dataclass(frozen=True)
class Start:
    """The last attempt of an activity that is done."""

    workflow: Workflow
    activity: Activity
    started_at: datetime
    closed_at: datetime


@dataclass(frozen=True)
class Retry(Start):
    """One that followed a lost attempt."""

    loss: Loss
    failure: Failure
    heartbeat_interval_seconds: float | None

    @property
    def backoff_seconds(self) -> float:
        """The server's wait before it, by the recorded policy or the failure's own delay."""
        if self.loss is Loss.SEEN:
            return 0.0
        info = self.failure.application_failure_info
        if info.HasField("next_retry_delay"):
            return float(info.next_retry_delay.ToTimedelta().total_seconds())
        policy = self.activity.retry_policy
        first = policy.initial_interval.ToTimedelta().total_seconds()
        wait = float(first * policy.backoff_coefficient ** (self.activity.attempt - 2))
        longest = policy.maximum_interval.ToTimedelta().total_seconds()
        return min(wait, longest) if longest else wait

    @property
    def silence_seconds(self) -> float:
        """How long the attempt may be silent before it counts as lost."""
        if self.loss is not Loss.SILENT:
            return 0.0
        return silence_limit_seconds(self.activity)

    @property
    def earliest_seconds(self) -> float:
        """The least that it can have begun after its cause: the last heartbeat may be one interval
        old, or, where nobody knows that or there are none, nearly as old as it may get.
        """
        heard = self.heartbeat_interval_seconds if self.activity.has_heartbeats else None
        silence = 0.0 if heard is None else max(0.0, self.silence_seconds - heard)
        return max(0.0, silence + self.backoff_seconds - _CLOCK_SECONDS)


def was_lost(failure: Failure) -> bool:
    """Whether an attempt ended with its worker, by a timeout or a supervisor's report."""
    return _loss(failure) in {Loss.SILENT, Loss.SEEN}


def took_over(activity: Activity) -> bool:
    """Whether its last attempt followed one that was lost with its worker.

    Without a heartbeat that is due sooner, only its time limit tells of a dead worker.
    """
    return _loss_before(activity) in {Loss.SILENT, Loss.SEEN}


def went_silent(activity: Activity) -> bool:
    """Whether the attempt before its last one was silent until it timed out."""
    return _loss_before(activity) is Loss.SILENT


def has_a_cause(evidence: Evidence, workflow: Workflow, activity: Activity) -> bool:
    """Whether any fault can have cost an activity the attempt before its last one."""
    return cause_of(evidence, workflow, activity) is not None


def cause_of(evidence: Evidence, workflow: Workflow, activity: Activity) -> Entry | None:
    """The fault that cost an activity the attempt before its last one, as far as that is known."""
    known = queues(evidence)
    return next(
        (
            _cause(evidence, known, retry)
            for retry in _retries(evidence)
            if retry.workflow is workflow and retry.activity == activity
        ),
        None,
    )


def _retries(evidence: Evidence) -> Sequence[Retry]:
    return [start for start in starts(evidence) if isinstance(start, Retry)]


def _loss_before(activity: Activity) -> Loss | None:
    failure = activity.last_failure
    if failure is None:
        return None
    limit = TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
    is_limit = failure.timeout_failure_info.timeout_type == limit
    return Loss.SILENT if is_limit and not activity.has_heartbeats else _loss(failure)


def silence_limit_seconds(activity: Activity) -> float:
    """The longest that an attempt may be silent."""
    if activity.has_heartbeats:
        return activity.heartbeat_seconds
    return activity.start_to_close_seconds


def _loss(failure: Failure) -> Loss:
    if failure.HasField("timeout_failure_info"):
        silent = TimeoutType.TIMEOUT_TYPE_HEARTBEAT
        is_silent = failure.timeout_failure_info.timeout_type == silent
        return Loss.SILENT if is_silent else Loss.FAILED
    is_seen = failure.application_failure_info.type == WORKER_LOST
    return Loss.SEEN if is_seen else Loss.FAILED


def starts(evidence: Evidence) -> Iterator[Start]:
    """The last attempt of every activity that is done."""
    interval = _heartbeat_interval_seconds(evidence)
    for workflow in evidence.all_workflows:
        for activity in workflow.activities:
            started_at, closed_at = activity.started_at, activity.closed_at
            if not started_at or not closed_at:
                continue
            failure, loss = activity.last_failure, _loss_before(activity)
            if failure and loss:
                yield Retry(workflow, activity, started_at, closed_at, loss, failure, interval)
            else:
                yield Start(workflow, activity, started_at, closed_at)


def _heartbeat_interval_seconds(evidence: Evidence) -> float | None:
    """None: unknown. A restored database knows no heartbeat since its backup."""
    restored = any(entry.kind == RESTORE for entry in evidence.journal)
    return None if restored else evidence.timings.heartbeat_interval_seconds


def first_retries(evidence: Evidence) -> Mapping[datetime, Retry]:
    """The first attempt that each fault made necessary, by the fault's time."""
    found: dict[datetime, Retry] = {}
    known = queues(evidence)
    for retry in sorted(_retries(evidence), key=lambda retry: retry.started_at):
        if cause := _cause(evidence, known, retry):
            found.setdefault(cause.at, retry)
    return found


def refused_at(evidence: Evidence, fault: Entry, retry: Retry) -> datetime | None:
    """When a service failed the attempt before, by its records; None if they have none."""
    latest = retry.started_at - timedelta(seconds=retry.backoff_seconds - _CLOCK_SECONDS)
    times = [
        refusal.at
        for refusal in evidence.refusals
        if refusal.workflow_id == retry.workflow.workflow_id and fault.at < refusal.at <= latest
    ]
    return max(times, default=None)


def _cause(evidence: Evidence, known: Queues, retry: Retry) -> Entry | None:
    """The latest fault that came early enough.

    The history does not say whose attempt was lost. If an earlier fault caused it, the recovery
    took longer than it counts here; but then the later fault's bound applies as well.
    """
    latest = retry.started_at - timedelta(seconds=retry.earliest_seconds)
    early = [
        fault
        for fault in faults(evidence, *Component)
        if _may_cause(fault, retry.loss)
        and fault.at <= latest
        and may_concern(known, fault, retry.workflow)
    ]
    return max(_named(retry, early) or early, key=lambda fault: fault.at, default=None)


def _may_cause(fault: Entry, loss: Loss) -> bool:
    """Whether an attempt can be lost so. What a command does nobody knows but its user."""
    return fault.kind == COMMAND or component_of(fault) in _CAUSES[loss]


def _named(retry: Retry, found: Sequence[Entry]) -> Sequence[Entry]:
    """The faults whose victim is named in a supervisor's failure message."""
    lost = re.match(r"its worker (\d+)", retry.failure.message)
    return [fault for fault in found if lost and fault.pid == int(lost[1])]

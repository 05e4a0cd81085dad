"""How long it may take until work resumes after a fault, by the timeouts in force."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from chaos.evidence.case import Evidence
from chaos.evidence.history import Workflow
from chaos.evidence.journal import Entry, Event
from chaos.invariants.recovery.faults import (
    COMMAND,
    Component,
    Queues,
    component_of,
    faults,
    is_of_a_fleet,
    is_outage,
    is_over_by,
    is_silent,
    is_worker,
    last_moment,
    leaves_it_alive,
    may_concern,
    may_serve,
    queues,
)
from chaos.invariants.recovery.retries import Loss, Retry, Start, refused_at

TIMER_SHIFT_SECONDS = 1.0
"""How late the server may fire a timer: `history.timerProcessorMaxTimeShift`."""

POLL_SECONDS = 1.0
"""From a task in its queue to a worker that polls for it."""


RECONNECT_SECONDS = 10.0
"""How long the SDK's polls may lag behind a restarted server: its longest wait between two tries.
(The 10 s of a lost workflow task are in no recovery: what it schedules comes after them.)
"""


def handover_seconds(evidence: Evidence) -> float:
    """From the moment when an attempt is due, and can be made, to its start. A workflow task goes
    first to the worker that knew the workflow, for as long as its sticky queue waits.
    """
    return TIMER_SHIFT_SECONDS + evidence.timings.sticky_queue_seconds + POLL_SECONDS


@dataclass(frozen=True)
class _Block:
    """A time in which no attempt can start."""

    start: datetime
    end: datetime


def bound_seconds(evidence: Evidence, fault: Entry, met: Start) -> float:
    """The most that may pass from a fault until the attempt `met`, which it made necessary, begins.
    For an activity whose first attempt came only after an outage: that, without the time in which
    nothing waited for the server.

    It is the time at which the attempt is due (heartbeat timeout and backoff as the history
    recorded them), put off while something else is broken or no worker is there (READY in the
    journal), and the handover. If the target makes a promise, that is the bound. Without one there
    is none for a command: when workers that the harness did not start are there, it cannot know.
    """
    if evidence.timings.recovery_seconds is not None:
        return evidence.timings.recovery_seconds
    if fault.kind == COMMAND:
        return math.inf
    if isinstance(met, Retry):
        origin = counted_from(evidence, fault, met)
        waits = _possible_from(evidence, _due(evidence, fault, met), met) - origin
    else:
        over = is_noticed_by(evidence, fault)
        due = max(over, met.activity.scheduled_at)
        waits = (over - fault.at) + (_possible_from(evidence, due, met) - due)
    return waits.total_seconds() + handover_seconds(evidence)


def counted_from(evidence: Evidence, fault: Entry, retry: Retry) -> datetime:
    """When a recovery begins: for an API's planned fault, at the answer that failed."""
    if retry.loss is Loss.FAILED:
        return refused_at(evidence, fault, retry) or fault.at
    return fault.at


def silent_from(evidence: Evidence, fault: Entry) -> datetime:
    """The latest possible time of a worker's last heartbeat: a process may live on for a while
    after its fault begins, and one that crashes repeatedly does so until it is healed.
    """
    if component_of(fault) is not Component.WORKER or leaves_it_alive(fault):
        return fault.at
    if fault.kind == "crash_loop":
        return is_over_by(evidence, fault)
    gone = evidence.first_entry(Event.EXITED, after=fault.at, target=fault.target, pid=fault.pid)
    return gone.at if gone else fault.at


def _due(evidence: Evidence, fault: Entry, retry: Retry) -> datetime:
    """When an attempt may start if everything else works."""
    backoff = timedelta(seconds=retry.backoff_seconds)
    silence = timedelta(seconds=retry.silence_seconds)
    if component_of(fault) is Component.WORKER:
        if retry.loss is Loss.SEEN and leaves_it_alive(fault):
            # A fleet kills it before the server would miss its heartbeat.
            silence = timedelta(seconds=retry.activity.heartbeat_seconds)
        replaced = timedelta(seconds=start_of_a_member_seconds(evidence, fault))
        return silent_from(evidence, fault) + silence + max(backoff, replaced)
    if component_of(fault) is Component.SERVER:
        # While the server is down its timers stand still: the heartbeat is missed when it is back.
        return max(is_noticed_by(evidence, fault), fault.at + silence) + backoff
    failed_at = refused_at(evidence, fault, retry)
    if failed_at is None:
        longest = evidence.timings.call_seconds.get(retry.activity.kind, 0.0)
        failed_at = is_over_by(evidence, fault) + timedelta(seconds=longest)
    return failed_at + backoff


def start_of_a_member_seconds(evidence: Evidence, fault: Entry) -> float:
    """How long a supervisor needs for a new worker, by its own start."""
    target = fault.target or ""
    if not is_of_a_fleet(target):
        return 0.0
    fleet = target.removesuffix("-worker")
    started = evidence.first_entry(Event.STARTED, target=fleet)
    ready = evidence.first_entry(Event.READY, target=fleet)
    return (ready.at - started.at).total_seconds() if started and ready else 0.0


def is_noticed_by(evidence: Evidence, outage: Entry) -> datetime:
    """When both ends can be reached again and know it, apart from the waits between their tries."""
    over = is_over_by(evidence, outage)
    keepalive = timedelta(seconds=evidence.timings.keepalive_seconds)
    return max(over, outage.at + keepalive) if is_silent(outage) else over


def _possible_from(evidence: Evidence, due: datetime, met: Start) -> datetime:
    """The first time from then on at which nothing prevented an attempt from being handed out. What
    broke after its start does not count.
    """
    at = due
    for block in sorted(_blocks(evidence, met.workflow), key=lambda block: block.start):
        until = min(met.started_at, at + timedelta(seconds=handover_seconds(evidence)))
        if block.start < until and at < block.end:
            at = block.end
    return at


def _blocks(evidence: Evidence, workflow: Workflow) -> Iterator[_Block]:
    lag = timedelta(seconds=RECONNECT_SECONDS)
    known = queues(evidence)
    for fault in faults(evidence, Component.SERVER):
        if is_outage(fault) and may_concern(known, fault, workflow):
            yield _Block(fault.at, is_noticed_by(evidence, fault) + lag)
    yield from _without_workers(evidence, known, workflow)


def _without_workers(evidence: Evidence, known: Queues, workflow: Workflow) -> Iterator[_Block]:
    """The times in which no worker of a workflow was ready, or all were down or paused. A
    supervisor replaces its workers.
    """
    there: set[int | None] = set()
    since: datetime | None = evidence.journal[0].at
    for entry in evidence.journal:
        name = entry.target or ""
        if not is_worker(name) or is_of_a_fleet(name) or not may_serve(known, name, workflow):
            continue
        if entry.event is Event.READY or entry.signal == "SIGCONT":
            there.add(entry.pid)
        elif entry.event is Event.EXITED or entry.signal == "SIGSTOP":
            there.discard(entry.pid)
        if there and since:
            yield _Block(since, entry.at)
        since = None if there else since or entry.at
    if since:
        yield _Block(since, last_moment(evidence))

"""Whether an attempt's fault hit where it should, by its evidence, and which boundaries it hit.
Three records must agree: the wire, that the call came there and went no further; the journal, that
the process then got a SIGKILL and ended; and the server's history. A boundary is proven by itself:
what is assigned, in flight or about to be reported must not be reported in the history, and that
attempt must have been lost with its worker; what was reported must be there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from temporalio.api.enums.v1 import EventType

from chaos.evidence.case import Evidence
from chaos.evidence.history import Activity, Workflow, time_of
from chaos.evidence.journal import Entry, Event
from chaos.invariants import Invariant, proof
from chaos.invariants.recovery.boundaries import why_missed
from chaos.search.crash.points import Action, CrashPoint, Disturbance, Phase, during
from chaos.wire.boundary import REPORTS, Boundary, Crossing, Kind, Stage
from chaos.wire.journal import Called, Reached, WireRecord, WireRecords, read_wire, service_of

NOT_REACHED = "no call came there before the workflow ended"

_TASK_ENDS = {
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
}

_REPORTED = frozenset(REPORTS.values())


@dataclass(frozen=True)
class Hit:
    """A call that came to a crash point `at` a time, by the wire; `crossings` are all boundaries
    that it was at then. `fault` is what was done there, by the journal, and `gone_at` when its
    worker was seen to have ended, if it was killed.
    """

    at: datetime
    crossing: Crossing
    crossings: tuple[Crossing, ...]
    fault: Entry | None = None
    gone_at: datetime | None = None

    @property
    def pid(self) -> int | None:
        """The worker that was killed."""
        return self.fault.pid if self.fault else None

    @property
    def over_at(self) -> datetime:
        """The time after which the dead worker does nothing."""
        return self.gone_at or self.at


def hit_of(evidence: Evidence, point: CrashPoint) -> Hit | None:
    """The hit of a crash point in an attempt's folder; None if no call came there."""
    own = {evidence.real_id(spec.workflow_id) for spec in evidence.specs}
    for line, records in read_wire(evidence.folder).items():
        if service_of(line) != point.service:
            continue
        for record in records:
            if isinstance(record, Reached) and _is_at(record.crossing, point, own):
                return _hit(evidence, records, record)
    return None


def _is_at(reached: Crossing, point: CrashPoint, own: Collection[str]) -> bool:
    """The breakpoint counted the calls of services; a child may have a boundary of the same text as
    its parent.
    """
    if point.service:
        counted = reached.boundary.model_copy(update={"ordinal": point.boundary.ordinal})
        return counted == point.boundary
    return reached.boundary == point.boundary and point.is_own is (reached.workflow_id in own)


def _hit(evidence: Evidence, records: Sequence[WireRecord], reached: Reached) -> Hit:
    done = (e for e in evidence.journal if e.event is Event.FAULT and e.passage == reached.passage)
    fault = next(done, None)
    pid = fault.pid if fault else None
    gone = evidence.first_entry(Event.EXITED, after=reached.at, pid=pid) if pid else None
    return Hit(
        at=reached.at,
        crossing=reached.crossing,
        crossings=_crossings(records, reached),
        fault=fault,
        gone_at=gone.at if gone else None,
    )


def _crossings(records: Sequence[WireRecord], reached: Reached) -> tuple[Crossing, ...]:
    """All boundaries that the call was at, by its record, which is written when it is over."""
    phase = Phase.of(reached.crossing.boundary.stage)
    for call in records:
        if (
            isinstance(call, Called)
            and call.at <= reached.at
            and reached.crossing in call.crossings
        ):
            return tuple(c for c in call.crossings if Phase.of(c.boundary.stage) is phase)
    return (reached.crossing,)


def was_hit(planned: Disturbance) -> Invariant:
    """A call came to the crash point and went no further; where its worker was to die, it did."""

    @proof("was_hit")
    def judge(evidence: Evidence) -> Iterator[str]:
        hit = hit_of(evidence, planned.point)
        if hit is None:
            yield NOT_REACHED
        elif hit.fault is None or hit.fault.kind != planned.action:
            yield f"the call that was held there got no {planned.action}"
        elif problem := why_missed(evidence, hit.fault):
            yield problem

    return judge


def proven(evidence: Evidence, planned: Disturbance) -> Sequence[Boundary]:
    """The boundaries that the evidence shows to be hit."""
    hit = hit_of(evidence, planned.point)
    if hit is None or was_hit(planned).examine(evidence).problems:
        return ()
    return [
        boundary
        for boundary in planned.point.boundaries
        if (crossing := _crossing(hit, planned.point, boundary))
        and _is_in_history(evidence, crossing, hit, planned.action)
    ]


def _crossing(hit: Hit, point: CrashPoint, boundary: Boundary) -> Crossing | None:
    """The crossing of the held call at that boundary."""
    if point.service:
        return hit.crossing
    return next((each for each in hit.crossings if each.boundary == boundary), None)


def _is_in_history(evidence: Evidence, crossing: Crossing, hit: Hit, action: Action) -> bool:
    """Whether the history fits. It has nothing about a query, or calls outside activities."""
    boundary = crossing.boundary
    # A worker whose connection only breaks still has its work in flight.
    is_gone = action is Action.KILL or boundary.stage is Stage.ASSIGNED
    if boundary.kind is Kind.QUERY:
        return True
    if boundary.kind is Kind.CALL:
        return not (crossing.during and is_gone) or any(
            _is_lost(activity, hit.at, crossing.attempt)
            for workflow in evidence.all_workflows
            for activity in workflow.activities
            if activity.kind in during(crossing)
        )
    workflow = _workflow(evidence, crossing.workflow_id)
    if workflow is None:
        return False
    if boundary.kind in {Kind.ACTIVITY, Kind.HEARTBEAT}:
        return _activity_fits(workflow, crossing, hit.at, is_gone=is_gone)
    return _task_fits(workflow, hit.at, boundary.stage, is_gone=is_gone)


def _workflow(evidence: Evidence, real_id: str) -> Workflow | None:
    """The children that already have the server's ids."""
    ours = (w for w in evidence.workflows.values() if evidence.real_id(w.workflow_id) == real_id)
    children = (child for child in evidence.children if child.workflow_id == real_id)
    return next(iter((*ours, *children)), None)


def _activity_fits(workflow: Workflow, crossing: Crossing, at: datetime, *, is_gone: bool) -> bool:
    """Whether an activity of that type had come so far, which is enough: only the wire knows the
    numbers of several that run at once.
    """
    boundary = crossing.boundary
    is_over = boundary.kind is Kind.ACTIVITY and boundary.stage in _REPORTED
    return any(
        _was_reported(activity, at, crossing.attempt, boundary.stage)
        if is_over
        else not is_gone or _is_lost(activity, at, crossing.attempt)
        for activity in workflow.activities
        if activity.kind == boundary.subject
    )


def _is_lost(activity: Activity, at: datetime, attempt: int) -> bool:
    """Whether it was open then, and that attempt was lost."""
    if activity.scheduled_at > at or (activity.closed_at and activity.closed_at <= at):
        return False
    return activity.attempt > attempt or not activity.completed


def _was_reported(activity: Activity, at: datetime, attempt: int, stage: Stage) -> bool:
    if activity.closed_at and activity.closed_at <= at:
        return activity.completed is (stage is Stage.COMPLETED)
    return stage is Stage.FAILED and activity.attempt > attempt


def _task_fits(workflow: Workflow, at: datetime, stage: Stage, *, is_gone: bool) -> bool:
    """Whether a workflow task was open then and was lost, or the last one was reported."""
    is_open, last_end, ends_later = False, None, None
    for event in workflow.events:
        is_start = event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
        if time_of(event) <= at:
            is_open = is_start or (is_open and event.event_type not in _TASK_ENDS)
            last_end = event.event_type if event.event_type in _TASK_ENDS else last_end
        elif is_open and event.event_type in _TASK_ENDS:
            ends_later = event.event_type
            break
    if stage is Stage.COMPLETED:
        return last_end == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    if stage is Stage.FAILED:
        return last_end == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    came_to_nothing = ends_later != EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    return is_open and (came_to_nothing or not is_gone)


def recovery_seconds(wire: WireRecords, hit: Hit) -> float | None:
    """From the hit until the next worker got work over the same lines; None if none did."""
    given = [
        call.delivered_at
        for records in wire.values()
        for call in records
        if isinstance(call, Called)
        and call.delivered_at
        and call.delivered_at > hit.over_at
        and any(crossing.boundary.stage is Stage.DELIVERED for crossing in call.crossings)
    ]
    return (min(given) - hit.at).total_seconds() if given else None

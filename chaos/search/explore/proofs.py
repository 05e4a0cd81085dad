"""Whether a try's worker died where it should, by its evidence, and which points that hit.

The worker's own last line, what the harness saw of its end and the server's history must tell the
same, and so must the books of who was called, where the target can read them. A point is proven by
itself: the event after which a worker died must have been written by then, and the one before which
it died must have come later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from temporalio.api.history.v1 import HistoryEvent

from chaos.evidence.case import Evidence
from chaos.evidence.history import Workflow
from chaos.evidence.journal import Event
from chaos.invariants import Invariant, proof
from chaos.search.explore.keep import read_hit, read_passed
from chaos.search.explore.moments import Passed, Stage
from chaos.search.explore.plan import CrashPoint, Reference
from chaos.search.explore.points import Point, Side, event_names


def was_killed_there(crash_point: CrashPoint) -> Invariant:
    """A worker came to the moment, and was gone by SIGKILL from there on. How a supervisor's worker
    has ended only its parent knows.
    """

    @proof("was_killed_there")
    def judge(evidence: Evidence) -> Iterator[str]:
        hit = read_hit(evidence.folder)
        if hit is None:
            yield "no worker came there before the workflow ended"
            return
        if hit.moment != crash_point.stop.moment:
            yield f"a worker died at {hit.moment.name} instead"
        gone = evidence.first_entry(Event.EXITED, after=hit.at, pid=hit.pid)
        if gone is None or gone.exit_code not in {-9, None}:
            yield f"worker {hit.pid} was not seen to end by SIGKILL"
        if any(line.pid == hit.pid and line.at > hit.at for line in read_passed(evidence.folder)):
            yield f"worker {hit.pid} went on after its last line"

    return judge


def proven(evidence: Evidence, crash_point: CrashPoint, reference: Reference) -> Sequence[Point]:
    """The points that the evidence shows to be hit."""
    hit = read_hit(evidence.folder)
    workflow = evidence.workflows.get(hit.workflow_id) if hit else None
    if hit is None or workflow is None or was_killed_there(crash_point).examine(evidence).problems:
        return ()
    is_hit = _event_test(workflow, hit, reference)
    return [
        point
        for point in crash_point.stop.points
        if (_call_is_hit(evidence, hit, point.side) if point.call else is_hit(point))
    ]


def _event_test(workflow: Workflow, hit: Passed, reference: Reference) -> Callable[[Point], bool]:
    """Says of a point whether its event was there, or was not, when the worker died.

    Up to the kill the history must be the fault-free one.
    """
    events = list(workflow.events)
    there = sum(_at(event) <= hit.at for event in events)
    if tuple(event_names(workflow)[:there]) != reference.events[:there]:
        return lambda _: False
    there += _had_begun(events[there:])
    return lambda point: (point.event <= there) is (point.side is Side.AFTER)


def _had_begun(later: Sequence[HistoryEvent]) -> bool:
    """Whether the activity of the next event had begun before.

    The server writes its start when it has ended, and then that of the last attempt.
    """
    return bool(later) and later[0].activity_task_started_event_attributes.attempt > 1


def _call_is_hit(evidence: Evidence, hit: Passed, side: Side) -> bool:
    """Whether who is called has seen as many requests as had left, and has answered the last."""
    own = [line for line in read_passed(evidence.folder) if line.pid == hit.pid]
    left = sum(line.moment.stage is Stage.LEAVING for line in own)
    return evidence.confirms_call(hit.at, left, replied=side is Side.AFTER)


def recovery_seconds(workflow: Workflow, hit: Passed) -> float | None:
    """From the kill until another process took up a task or an activity; None: none was left."""
    dead = f"{hit.pid}@"
    taken = [
        at
        for event in workflow.events
        for at, by in [(_at(event), _taken_by(event))]
        if by and not by.startswith(dead) and at > hit.at
    ]
    return (min(taken) - hit.at).total_seconds() if taken else None


def _taken_by(event: HistoryEvent) -> str:
    task = event.workflow_task_started_event_attributes.identity
    return str(task or event.activity_task_started_event_attributes.identity)


def _at(event: HistoryEvent) -> datetime:
    return event.event_time.ToDatetime(tzinfo=UTC)

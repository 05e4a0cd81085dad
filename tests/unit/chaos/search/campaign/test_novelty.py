"""Two histories of one shape are alike; one with a retry, or another failure, is not."""

from __future__ import annotations

import pytest
from temporalio.api.enums.v1 import EventType, TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from chaos.evidence.history import Workflow
from chaos.experiment.coverage import Coverage, Hit, Phase
from chaos.search.campaign.novelty import activity_of, cells_of, shape_of, shapes_of


def _workflow(*attempts: int, last: Failure | None = None, name: str = "charge_card") -> Workflow:
    """It has done an activity for each of these numbers of attempts."""
    events = [HistoryEvent(event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)]
    for attempt in attempts:
        scheduled = HistoryEvent(
            event_id=len(events) + 1, event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
        )
        scheduled.activity_task_scheduled_event_attributes.activity_type.name = name
        started = HistoryEvent(
            event_id=len(events) + 2, event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
        )
        of = started.activity_task_started_event_attributes
        of.scheduled_event_id, of.attempt = scheduled.event_id, attempt
        of.identity = f"{len(events)}@somewhere"
        if last:
            of.last_failure.CopyFrom(last)
        done = HistoryEvent(
            event_id=len(events) + 3, event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
        )
        done.activity_task_completed_event_attributes.scheduled_event_id = scheduled.event_id
        for event in (scheduled, started, done):
            event.event_time.FromSeconds(1_000_000 + 7 * len(events))
            events.append(event)
    events.append(HistoryEvent(event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED))
    return Workflow(f"id-{len(events)}", [WorkflowHistory("id", events)])


def _timed_out(kind: TimeoutType.ValueType) -> Failure:
    failure = Failure(message="at 12:01 on worker 7")
    failure.timeout_failure_info.timeout_type = kind
    return failure


def _failed(kind: str, message: str = "") -> Failure:
    failure = Failure(message=message)
    failure.application_failure_info.type = kind
    return failure


HEARTBEAT = _timed_out(TimeoutType.TIMEOUT_TYPE_HEARTBEAT)
ONCE = shape_of(_workflow(1))


def test_how_often_something_came_makes_no_difference() -> None:
    """Nor do ids, times and workers: those of these two differ."""
    assert shape_of(_workflow(1, 1, 1)) == ONCE


@pytest.mark.parametrize(
    "other",
    [
        _workflow(2, last=_failed("ReadError")),
        _workflow(1, name="ship_parcel"),
        _workflow(),
        _workflow(1, 2, last=_failed("ReadError")),
    ],
)
def test_what_happened_otherwise_has_another_shape(other: Workflow) -> None:
    assert shape_of(other) != ONCE


def test_each_of_the_first_attempts_is_another_shape_and_many_are_alike() -> None:
    shapes = [shape_of(_workflow(attempt, last=HEARTBEAT)) for attempt in range(1, 8)]

    assert len(set(shapes)) == 4
    assert len(set(shapes[3:])) == 1


def test_a_timeout_is_not_a_failure_and_a_failure_is_known_by_its_type() -> None:
    start_to_close = _timed_out(TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE)
    several = (HEARTBEAT, start_to_close, _failed("ReadError"), _failed("HTTPStatusError"))

    assert len(shapes_of([_workflow(2, last=each) for each in several])) == len(several)


def test_of_a_task_that_timed_out_its_timeout_counts() -> None:
    def timed_out(kind: TimeoutType.ValueType) -> Workflow:
        event = HistoryEvent(event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT)
        event.workflow_task_timed_out_event_attributes.timeout_type = kind
        return Workflow("id", [WorkflowHistory("id", [*_workflow(1).events, event])])

    died = timed_out(TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE)
    away = timed_out(TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START)
    assert shape_of(died) != shape_of(away)


def test_the_words_of_a_failure_make_no_difference() -> None:
    one, other = _failed("ReadError", "at port 4711"), _failed("ReadError", "at port 815")

    assert shape_of(_workflow(2, last=one)) == shape_of(_workflow(2, last=other))


def test_the_shapes_of_a_case_are_counted_once() -> None:
    assert shapes_of([_workflow(1), _workflow(1, 1)]) == (ONCE,)


def test_a_cell_has_fault_place_activity_and_phase() -> None:
    hit = Hit(fault="drop", at="link to server", activity="charge", phase=Phase.RUNNING, times=3)

    (cell,) = cells_of(Coverage(hits=(hit,)))

    assert cell == "drop|link to server|charge|running"
    assert activity_of(cell) == "charge"


def test_a_cell_of_another_kind_has_no_activity() -> None:
    assert activity_of("kill|activity charge completing") == ""

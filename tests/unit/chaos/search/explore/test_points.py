"""A real history becomes points, and each has its moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from chaos.evidence.history import Workflow
from chaos.search.explore.moments import Actor, Passed, Stage
from chaos.search.explore.points import PlanError, Side, Stop, stops

SAME_TRANSACTION = (
    ("WORKFLOW_EXECUTION_STARTED", "WORKFLOW_TASK_SCHEDULED"),
    ("WORKFLOW_TASK_COMPLETED", "ACTIVITY_TASK_SCHEDULED"),
    ("ACTIVITY_TASK_COMPLETED", "WORKFLOW_TASK_SCHEDULED"),
    ("WORKFLOW_TASK_COMPLETED", "WORKFLOW_EXECUTION_COMPLETED"),
)


@pytest.fixture
def found(workflow: Workflow, passed: list[Passed]) -> Sequence[Stop]:
    return stops(workflow, passed)


def test_each_event_and_each_call_has_a_point_on_both_sides(
    found: Sequence[Stop], workflow: Workflow
) -> None:
    points = Counter(
        (p.side, "call" if p.call else "event", p.call or p.event) for s in found for p in s.points
    )
    events = range(1, len(list(workflow.events)) + 1)

    assert points == Counter(
        [(side, "event", number) for side in Side for number in events]
        + [(side, "call", number) for side in Side for number in range(1, 6)]
    )
    assert sum(points.values()) == 80
    assert len(found) == 55


@pytest.mark.parametrize(
    ("point", "moment"),
    [
        ("before event 1 WORKFLOW_EXECUTION_STARTED", "worker-idle"),
        ("before event 2 WORKFLOW_TASK_SCHEDULED", "worker-idle"),
        ("after event 2 WORKFLOW_TASK_SCHEDULED", "worker-booting"),
        ("before event 3 WORKFLOW_TASK_STARTED", "worker-booting"),
        ("after event 3 WORKFLOW_TASK_STARTED", "task-1-polled"),
        ("before event 5 ACTIVITY_TASK_SCHEDULED", "task-1-completing"),
        ("after event 4 WORKFLOW_TASK_COMPLETED", "task-1-completed"),
        ("before event 6 ACTIVITY_TASK_STARTED", "task-1-unpolled"),
        ("after event 6 ACTIVITY_TASK_STARTED", "activity-1-polled"),
        ("before event 8 WORKFLOW_TASK_SCHEDULED", "activity-1-completing"),
        ("after event 8 WORKFLOW_TASK_SCHEDULED", "activity-1-completed"),
        ("before event 9 WORKFLOW_TASK_STARTED", "activity-1-unpolled"),
        ("before call 1 generate_character generateContent", "activity-2-call-1-leaving"),
        ("after call 2 start_video predictLongRunning", "activity-3-call-1-replied"),
        ("before call 4 await_video operations", "activity-4-call-2-leaving"),
        ("before event 35 WORKFLOW_EXECUTION_COMPLETED", "task-6-completing"),
        ("after event 35 WORKFLOW_EXECUTION_COMPLETED", "task-6-completed"),
    ],
)
def test_a_point_has_the_moment_of_its_worker(
    point: str, moment: str, found: Sequence[Stop]
) -> None:
    assert [s.moment.name for s in found for p in s.points if p.name == point] == [moment]


@pytest.mark.parametrize(("first", "second"), SAME_TRANSACTION)
def test_events_of_one_transaction_share_their_moments(
    first: str, second: str, found: Sequence[Stop]
) -> None:
    of = {(p.side, p.event): (s.moment, p.what) for s in found for p in s.points if p.event}
    pairs = [
        (side, event)
        for side, event in of
        if of[side, event][1] == first and of.get((side, event + 1), ("", ""))[1] == second
    ]

    assert pairs
    assert all(of[side, event][0] == of[side, event + 1][0] for side, event in pairs)


def test_the_order_is_that_of_the_worker(found: Sequence[Stop]) -> None:
    third = [stop.moment for stop in found if stop.moment.number == 3]

    assert [(moment.actor, moment.stage) for moment in third] == [
        (Actor.TASK, Stage.POLLED),
        (Actor.TASK, Stage.COMPLETING),
        (Actor.TASK, Stage.COMPLETED),
        (Actor.TASK, Stage.UNPOLLED),
        (Actor.ACTIVITY, Stage.POLLED),
        (Actor.CALL, Stage.LEAVING),
        (Actor.CALL, Stage.REPLIED),
        (Actor.ACTIVITY, Stage.COMPLETING),
        (Actor.ACTIVITY, Stage.COMPLETED),
        (Actor.ACTIVITY, Stage.UNPOLLED),
    ]


def test_an_event_that_nobody_thought_of_is_told(workflow: Workflow, passed: list[Passed]) -> None:
    timer = HistoryEvent(event_id=36, event_type=EventType.EVENT_TYPE_TIMER_STARTED)
    history = WorkflowHistory(workflow.workflow_id, [*workflow.events, timer])

    with pytest.raises(PlanError, match="event 36 of single-fault-free-stack-1 is TIMER_STARTED"):
        stops(replace(workflow, runs=(history,)), passed)


def test_a_worker_that_did_not_tell_all_is_no_reference(
    workflow: Workflow, passed: list[Passed]
) -> None:
    without = [p for p in passed if p.moment.name != "activity-3-completing"]

    with pytest.raises(PlanError, match="do not agree about activity-3-completing"):
        stops(workflow, without)

"""From a fault-free run to the points at which a worker may die, and the moments that cover them.

Each event of the history is a point before and one after, and so is each call of a service. What
the server writes in one transaction cannot be told apart by any death of a worker: the points of
such events share a moment. A moment runs once and counts for all points that it covers.

A task that was scheduled and not started needs a moment of its own. The server hands a task at once
to an open poll of the worker that has just reported, also when that is dead by then; so there the
worker dies with no poll open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

from pydantic import BaseModel, ConfigDict
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from chaos.evidence.history import Workflow
from chaos.search.explore.moments import BOOTING, IDLE, Actor, Moment, Passed, Stage, unpolled

_PREFIX = "EVENT_TYPE_"
_BY_A_TASK = {"WORKFLOW_TASK_COMPLETED", "ACTIVITY_TASK_SCHEDULED", "WORKFLOW_EXECUTION_COMPLETED"}
"""What the server writes when a worker completes a workflow task."""


class PlanError(Exception):
    """A run cannot be made points of. One sentence: what is new in it, or missing."""


class Side(StrEnum):
    """On which side of an event or a call a worker dies."""

    BEFORE = "before"
    AFTER = "after"


class Point(BaseModel):
    """Before or after the event with this number, from 1, or the call with this number."""

    model_config = ConfigDict(frozen=True)

    side: Side
    what: str
    event: int = 0
    call: int = 0

    @property
    def name(self) -> str:
        """For people."""
        number = f"call {self.call}" if self.call else f"event {self.event}"
        return f"{self.side} {number} {self.what}"


class Stop(BaseModel):
    """A moment and the points that a death at it shows; `what` is the activity or the call."""

    model_config = ConfigDict(frozen=True)

    moment: Moment
    what: str
    points: tuple[Point, ...]

    @property
    def kind(self) -> str:
        """What it has in common with others, whatever its number."""
        what = self.what if self.moment.actor in {Actor.ACTIVITY, Actor.CALL} else ""
        return f"{self.moment.actor} {what} {self.moment.stage}"


def event_names(workflow: Workflow) -> Sequence[str]:
    """The types of a workflow's events, in order."""
    return [_name(event) for event in workflow.events]


def stops(workflow: Workflow, passed: Sequence[Passed]) -> Sequence[Stop]:
    """All of them, in the order in which a worker comes to them. Raises PlanError.

    `passed` is what the worker of the fault-free run told.
    """
    found: dict[Moment, list[Point]] = {}
    events = _of_events(workflow.workflow_id, list(workflow.events))
    for point, moment in (*events, *_of_calls(passed)):
        found.setdefault(moment, []).append(point)
    told = {line.moment: line.what for line in passed}
    expected = found.keys() - {IDLE, BOOTING, *map(unpolled, told)}
    if odd := told.keys() ^ expected:
        names = ", ".join(sorted(moment.name for moment in odd))
        raise PlanError(
            f"the history of {workflow.workflow_id} and its worker do not agree about {names}: "
            "was the run disturbed?"
        )
    whats = {**told, **{unpolled(moment): what for moment, what in told.items()}}
    return [
        Stop(moment=moment, what=whats.get(moment, ""), points=tuple(found[moment]))
        for moment in sorted(found, key=_place)
    ]


def _place(moment: Moment) -> tuple[int, bool, int, int, int]:
    """In the order of a worker's life; what two of its threads do at once has an order as well."""
    stage = tuple(Stage).index(moment.stage)
    calls = tuple(Stage).index(Stage.LEAVING)
    is_activitys = moment.actor in {Actor.ACTIVITY, Actor.CALL}
    return moment.number, is_activitys, calls if moment.call else stage, moment.call, stage


def _of_calls(passed: Sequence[Passed]) -> Iterator[tuple[Point, Moment]]:
    calls = 0
    for line in passed:
        if line.moment.actor is Actor.CALL:
            calls += line.moment.stage is Stage.LEAVING
            side = Side.BEFORE if line.moment.stage is Stage.LEAVING else Side.AFTER
            yield Point(side=side, what=line.what, call=calls), line.moment


def _of_events(workflow_id: str, events: Sequence[HistoryEvent]) -> Iterator[tuple[Point, Moment]]:
    tasks, activities = 0, _numbers(events)
    before = after = waiting = BOOTING
    for event in events:
        name = _name(event)
        tasks += name == "WORKFLOW_TASK_STARTED"
        match name:
            case "WORKFLOW_EXECUTION_STARTED":
                before, after = IDLE, BOOTING
            case "WORKFLOW_TASK_SCHEDULED":
                pass  # in one transaction with the event before it
            case "WORKFLOW_TASK_STARTED":
                before, after = waiting, _task(tasks, Stage.POLLED)
            case _ if name in _BY_A_TASK:
                before, after = _task(tasks, Stage.COMPLETING), _task(tasks, Stage.COMPLETED)
                waiting = unpolled(after)
            case "ACTIVITY_TASK_STARTED":
                number = activities[event.activity_task_started_event_attributes.scheduled_event_id]
                before, after = waiting, _activity(number, Stage.POLLED)
            case "ACTIVITY_TASK_COMPLETED":
                closed = event.activity_task_completed_event_attributes
                number = activities[closed.scheduled_event_id]
                before = _activity(number, Stage.COMPLETING)
                after = _activity(number, Stage.COMPLETED)
                waiting = unpolled(after)
            case _:
                raise PlanError(
                    f"event {event.event_id} of {workflow_id} is {name}, of which it is not known "
                    "when a worker can die before and after it: explore a workflow without it."
                )
        yield Point(side=Side.BEFORE, what=name, event=event.event_id), before
        yield Point(side=Side.AFTER, what=name, event=event.event_id), after


def _numbers(events: Sequence[HistoryEvent]) -> Mapping[int, int]:
    """The number of each activity, by the event that scheduled it."""
    ids = [e.event_id for e in events if _name(e) == "ACTIVITY_TASK_SCHEDULED"]
    return {event_id: number for number, event_id in enumerate(ids, start=1)}


def _task(number: int, stage: Stage) -> Moment:
    return Moment(actor=Actor.TASK, number=number, stage=stage)


def _activity(number: int, stage: Stage) -> Moment:
    return Moment(actor=Actor.ACTIVITY, number=number, stage=stage)


def _name(event: HistoryEvent) -> str:
    return EventType.Name(event.event_type).removeprefix(_PREFIX)

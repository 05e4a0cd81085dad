"""The plan of an exploration: fault-free runs, and the crash points chosen from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict
from temporalio.api.enums.v1 import EventType

from chaos.evidence.history import Status, Workflow
from chaos.search.crash.points import (
    Action,
    CrashPoint,
    Disturbance,
    Phase,
    PlanError,
    crash_points,
    own_crossings,
    spread,
)
from chaos.wire.boundary import Kind, Stage
from chaos.wire.journal import WireRecords

_TASK_DONE = {EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED}
_DISTURBED = {EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT}

_TO_HEARTBEATS = {
    (Kind.ACTIVITY, Stage.ASSIGNED),
    (Kind.ACTIVITY, Stage.DELIVERED),
    (Kind.WORKFLOW_TASK, Stage.COMPLETED),
}
"""Kinds of boundaries where a worker has an activity that its supervisor does not know of."""


class Reference(BaseModel):
    """A fault-free run of a spec: its stops, how long it took, and how many attempts an activity of
    each type did at the most.
    """

    model_config = ConfigDict(frozen=True)

    spec: str
    stops: tuple[CrashPoint, ...]  # the name that plan.json has
    seconds: float = 0.0
    attempts: Mapping[str, int] = {}

    @classmethod
    def of(cls, spec: str, workflow: Workflow, records: WireRecords) -> Reference:
        """From the evidence of a fault-free run. Raises PlanError if history and wire disagree."""
        disturbed = [e for e in workflow.events if e.event_type in _DISTURBED]
        on_wire = Counter(
            (crossing.boundary.kind, crossing.boundary.stage)
            for crossing in {c for _, c in own_crossings(records, workflow.workflow_id)}
        )
        done = sum(e.event_type in _TASK_DONE for e in workflow.events)
        begun = sum(activity.attempt > 0 for activity in workflow.activities)
        if (
            disturbed
            or done > on_wire[Kind.WORKFLOW_TASK, Stage.COMPLETED]
            or begun > on_wire[Kind.ACTIVITY, Stage.ASSIGNED]
            or workflow.status is Status.RUNNING
        ):
            raise PlanError(
                f"the history of {workflow.workflow_id} and the wire do not agree, or it has not "
                "ended: was the run disturbed, or are there workers beside the target's own?"
            )
        attempts: dict[str, int] = {}
        for each in workflow.activities:
            attempts[each.kind] = max(each.attempt, attempts.get(each.kind, 1))
        found = tuple(crash_points(records, workflow.workflow_id))
        took = ((workflow.closed_at or workflow.started_at) - workflow.started_at).total_seconds()
        return cls(spec=spec, stops=found, seconds=took, attempts=attempts)


class PlannedHit(Disturbance):
    """A disturbance of one workflow: `spec` is a name of `Target.specs`, `seconds` and `attempts`
    are those of its fault-free run.
    """

    spec: str
    seconds: float = 0.0
    attempts: Mapping[str, int] = {}

    @property
    def name(self) -> str:
        """A unique name, valid for a file."""
        return f"{self.spec}-{self.point.name}"


class Choice(BaseModel):
    """The user's choice; without `sample` everything."""

    model_config = ConfigDict(frozen=True)

    specs: tuple[str, ...]
    sample: int | None = None
    seed: int = 0
    action: Action = Action.KILL


class Plan(BaseModel):
    """The choice, the fault-free runs, and the names of the crash points that were chosen."""

    model_config = ConfigDict(frozen=True)

    choice: Choice
    references: tuple[Reference, ...]
    chosen: tuple[str, ...]

    @classmethod
    def of(cls, choice: Choice, references: Sequence[Reference]) -> Plan:
        """Choose."""
        everything = _planned(references, choice.action)
        chosen = everything
        if choice.sample is not None:
            chosen = spread(everything, choice.sample, lambda each: each.point.kind, choice.seed)
        return cls(
            choice=choice,
            references=tuple(references),
            chosen=tuple(each.name for each in chosen),
        )

    @property
    def everything(self) -> Sequence[PlannedHit]:
        """All crash points that there are."""
        return _planned(self.references, self.choice.action)

    @property
    def hits(self) -> Sequence[PlannedHit]:
        """Those that were chosen, in the order of the workflows."""
        return [each for each in self.everything if each.name in self.chosen]


def _planned(references: Sequence[Reference], action: Action) -> Sequence[PlannedHit]:
    """A delivered reply can no longer be dropped."""
    return [
        PlannedHit(
            spec=found.spec,
            point=point,
            action=action,
            seconds=found.seconds,
            attempts=found.attempts,
        )
        for found in references
        for point in found.stops
        if action is Action.KILL or point.phase is not Phase.HANDED_OVER
    ]


def slow_first(planned: PlannedHit) -> int:
    """Points that wait for a heartbeat or a workflow task first: they take longest."""
    boundary = planned.point.boundary
    if (boundary.kind, boundary.stage) in _TO_HEARTBEATS:
        return 0
    return 1 if boundary.kind is Kind.WORKFLOW_TASK else 2

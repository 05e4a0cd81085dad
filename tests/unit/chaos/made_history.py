"""Small histories made by hand, event by event, and evidence around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from chaos.evidence.case import Evidence
from chaos.evidence.history import Workflow
from chaos.evidence.pending import Pending
from chaos.evidence.spec import WorkflowSpec

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """So many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def refused(message: str, kind: str = "") -> Failure:
    """A failure as an activity or a workflow raises it."""
    return Failure(message=message, application_failure_info=ApplicationFailureInfo(type=kind))


@dataclass
class Made:
    """A run: each method adds an event, `seconds` after noon."""

    workflow_id: str = "order-1"
    run_id: str = "run-1"
    parent: tuple[str, str] | None = None
    events: list[HistoryEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        started = self.add("WORKFLOW_EXECUTION_STARTED", 0)
        attributes = started.workflow_execution_started_event_attributes
        attributes.original_execution_run_id = self.run_id
        attributes.workflow_id = self.workflow_id
        attributes.workflow_type.name = "Order"
        attributes.task_queue.name = "orders"
        if self.parent:
            attributes.parent_workflow_execution.workflow_id = self.parent[0]
            attributes.parent_workflow_execution.run_id = self.parent[1]

    def add(self, kind: str, seconds: float) -> HistoryEvent:
        """Any event, its attributes still empty."""
        event = HistoryEvent(
            event_id=len(self.events) + 1, event_type=EventType.Value(f"EVENT_TYPE_{kind}")
        )
        event.event_time.FromDatetime(at(seconds))
        self.events.append(event)
        return event

    def scheduled(self, kind: str, seconds: float = 1, *, heartbeat: float = 0) -> int:
        """An activity with a start-to-close of 45 s; the number of its event, and its id."""
        event = self.add("ACTIVITY_TASK_SCHEDULED", seconds)
        attributes = event.activity_task_scheduled_event_attributes
        attributes.activity_id = str(event.event_id)
        attributes.activity_type.name = kind
        attributes.start_to_close_timeout.FromSeconds(45)
        attributes.heartbeat_timeout.FromTimedelta(timedelta(seconds=heartbeat))
        return int(event.event_id)

    def done(self, number: int, *, attempt: int = 1, seconds: float = 2) -> Made:
        """The attempt of an activity that was the last."""
        started = self.add("ACTIVITY_TASK_STARTED", seconds)
        attributes = started.activity_task_started_event_attributes
        attributes.scheduled_event_id, attributes.attempt = number, attempt
        closed = self.add("ACTIVITY_TASK_COMPLETED", seconds)
        closed.activity_task_completed_event_attributes.scheduled_event_id = number
        return self

    def task_failed(self, cause: int, failure: Failure | None = None, seconds: float = 3) -> Made:
        """A workflow task, at its first attempt."""
        event = self.add("WORKFLOW_TASK_FAILED", seconds)
        attributes = event.workflow_task_failed_event_attributes
        attributes.cause = cause  # type: ignore[assignment]  # a test may have one that is too new
        if failure:
            attributes.failure.CopyFrom(failure)
        return self

    def ended(self, how: str = "COMPLETED", seconds: float = 10) -> Made:
        """The run itself."""
        self.add(f"WORKFLOW_EXECUTION_{how}", seconds)
        return self

    def workflow(self, pending: Pending | None = None, *before: Made) -> Workflow:
        """With the runs before it."""
        runs = [WorkflowHistory(each.workflow_id, each.events) for each in (*before, self)]
        return Workflow(self.workflow_id, runs, pending=pending)


def spec_of(workflow: Workflow, **options: Any) -> WorkflowSpec:
    """What is expected of it."""
    return WorkflowSpec(workflow_id=workflow.workflow_id, workflow_type="Order", **options)


def evidence_of(
    workflow: Workflow, *children: Workflow, specs: Sequence[WorkflowSpec] = (), **options: Any
) -> Evidence:
    """Of one workflow and what it started."""
    return Evidence(
        folder=Path("/nowhere"),
        specs=specs or [spec_of(workflow, **options)],
        workflows={workflow.workflow_id: workflow},
        journal=(),
        children=children,
    )

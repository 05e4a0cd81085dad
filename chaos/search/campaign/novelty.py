"""What a case has covered: which faults hit what, and the shapes of its workflows' histories."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from temporalio.api.enums.v1 import EventType, TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent

from chaos.evidence.history import Activity, Workflow
from chaos.experiment.coverage import Coverage

MOST_COUNTED = 3
"""More attempts or runs than so many are alike: a search must not be led into counting."""

_BETWEEN = "|"
_LENGTH = 10
_TIMED_OUT = EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT


def cells_of(coverage: Coverage) -> tuple[str, ...]:
    """The cells of a table of faults: fault, its kind of target, activity and phase."""
    return tuple(
        _BETWEEN.join((hit.fault, hit.at, hit.activity, hit.phase)) for hit in coverage.hits
    )


def activity_of(cell: str) -> str:
    """The type of activity of a cell; empty between activities, and of what is no such cell."""
    parts = cell.split(_BETWEEN)
    return parts[2] if len(parts) == len(("fault", "at", "activity", "phase")) else ""


def shapes_of(workflows: Iterable[Workflow]) -> tuple[str, ...]:
    """The shapes of histories, each once."""
    return tuple(sorted({shape_of(workflow) for workflow in workflows}))


def shape_of(workflow: Workflow) -> str:
    """A short name for what happened in a workflow, whatever its ids and times, and however often:
    types of events, and of each type of activity its attempts and how they ended. What is done
    side by side has no order.
    """
    seen = "\n".join(sorted(set(_seen(workflow))))
    return hashlib.sha256(seen.encode()).hexdigest()[:_LENGTH]


def _seen(workflow: Workflow) -> Iterator[str]:
    yield f"{workflow.kind} {workflow.status} {_count(len(workflow.runs))}"
    yield from map(_of_event, workflow.events)
    yield from map(_of_activity, workflow.activities)
    for task in workflow.failed_tasks:
        yield f"task {task.cause}"


def _of_event(event: HistoryEvent) -> str:
    """Its type. Which timeout a task had tells a worker that died from one that is away."""
    if event.event_type != _TIMED_OUT:
        return str(int(event.event_type))
    timeout = event.workflow_task_timed_out_event_attributes.timeout_type
    return f"{int(event.event_type)} {int(timeout)}"


def _of_activity(activity: Activity) -> str:
    pending = activity.pending
    attempt = pending.attempt if pending else activity.attempt
    before = _kind_of(activity.last_failure)
    end = "completed" if activity.completed else _kind_of(activity.failure)
    end = end if activity.closed_at else "open"
    return f"activity {activity.kind} {_count(attempt)} after {before}: {end}"


def _count(number: int) -> str:
    return str(number) if number <= MOST_COUNTED else "more"


def _kind_of(failure: Failure | None) -> str:
    """What a failure is, without its message, which may have anything in it."""
    if failure is None:
        return "nothing"
    info = failure.WhichOneof("failure_info") or "unknown"
    if info == "timeout_failure_info":
        return TimeoutType.Name(failure.timeout_failure_info.timeout_type)
    if info == "application_failure_info":
        return f"{info} {failure.application_failure_info.type}"
    return info

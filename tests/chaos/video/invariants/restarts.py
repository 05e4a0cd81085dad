"""What is asked of operations that were started again."""

from __future__ import annotations

from collections.abc import Iterator

from temporalio.api.enums.v1 import EventType, RetryState
from temporalio.client import WorkflowHistory

from chaos.evidence.case import Evidence
from chaos.invariants import invariant

PASSING_CODES = frozenset(
    {"Unreachable", "NoReply", "ConnectionLost", "Unavailable", "ServerError", "UnreadableReply"}
)
"""The failures of a call, as `workflows.gemini` names them, that another try may mend."""


@invariant
def restarts_are_explained(evidence: Evidence) -> Iterator[str]:
    """An operation was started again only where three attempts in a row met what passes."""
    for workflow in evidence.workflows.values():
        for run in workflow.runs[:-1]:
            closing = run.events[-1]
            if closing.event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
                continue
            code = _exhausted_code(run)
            if code not in PASSING_CODES:
                said = closing.workflow_execution_failed_event_attributes.failure.message
                yield f"{workflow.workflow_id} failed for another reason than its API: {said}"


def _exhausted_code(run: WorkflowHistory) -> str | None:
    """The type of the last activity's failure, where it had used up its attempts."""
    for event in reversed(run.events):
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
            failed = event.activity_task_failed_event_attributes
            if failed.retry_state == RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED:
                return str(failed.failure.application_failure_info.type)
            return None
    return None

"""An operation that was started again had to be, or it is seen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from temporalio.api.enums.v1 import EventType, RetryState
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.client import WorkflowHistory

from chaos.evidence.case import Evidence
from chaos.evidence.history import Workflow
from chaos.invariants.verdict import Verdict
from tests.chaos.video.drawing import restarts_are_explained
from tests.unit.kept import kept


@pytest.fixture
def evidence() -> Evidence:
    return kept("seeded", "seed_4")


def _restarted(evidence: Evidence, kind: str, state: RetryState.ValueType) -> Evidence:
    """One workflow, as if it had been started again after its last activity had failed so."""
    workflow_id, workflow = next(iter(evidence.workflows.items()))
    events = History()
    events.events.extend(workflow.runs[-1].events[:-1])
    failed = HistoryEvent(event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED)
    failed.activity_task_failed_event_attributes.retry_state = state
    failed.activity_task_failed_event_attributes.failure.application_failure_info.type = kind
    closing = HistoryEvent(event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED)
    closing.workflow_execution_failed_event_attributes.failure.message = "it failed"
    first = WorkflowHistory(workflow_id, [*events.events, failed, closing])
    runs = Workflow(workflow_id, (first, *workflow.runs))
    return replace(evidence, workflows={**evidence.workflows, workflow_id: runs})


EXHAUSTED = RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED


def test_three_attempts_that_met_the_network_explain_a_restart(evidence: Evidence) -> None:
    finding = restarts_are_explained.examine(_restarted(evidence, "Unreachable", EXHAUSTED))

    assert finding.verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("OtherPromptError", EXHAUSTED),
        ("Unreachable", RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE),
    ],
)
def test_any_other_failure_explains_none(
    kind: str, state: RetryState.ValueType, evidence: Evidence
) -> None:
    finding = restarts_are_explained.examine(_restarted(evidence, kind, state))

    assert finding.verdict is Verdict.FAILED

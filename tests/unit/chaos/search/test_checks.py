"""The checks of a schedule hold on the evidence of a real one, and see what is broken in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType, RetryState
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.client import WorkflowHistory

from chaos.evidence.case import Evidence
from chaos.evidence.history import Workflow
from chaos.evidence.journal import Entry, Event
from chaos.experiment.judge import judge, reason_of, verdict_of
from chaos.invariants.verdict import Verdict
from chaos.search.checks import restarts_are_explained, schedule_was_carried_out
from chaos.search.schedule import FILE, read_schedule
from chaos.search.seeded import seeded

FOLDER = Path(__file__).parents[3] / "data" / "evidence" / "seeded" / "seed_4"
SCHEDULE = read_schedule(FOLDER / FILE)


@pytest.fixture
def evidence() -> Evidence:
    return Evidence.load(FOLDER)


def _problems(evidence: Evidence) -> tuple[str, ...]:
    return tuple(schedule_was_carried_out(SCHEDULE).examine(evidence).problems)


def _without(evidence: Evidence, drop: Callable[[Entry], bool]) -> Evidence:
    return replace(evidence, journal=[entry for entry in evidence.journal if not drop(entry)])


def test_the_kept_evidence_passes(evidence: Evidence) -> None:
    (case,) = seeded([SCHEDULE]).cases
    findings = judge(case, evidence)

    assert verdict_of(findings) is Verdict.PASSED, reason_of(findings)


def test_a_fault_that_was_not_injected_leaves_the_verdict_open(evidence: Evidence) -> None:
    first = evidence.first_entry(Event.FAULT)
    finding = schedule_was_carried_out(SCHEDULE).examine(
        _without(evidence, lambda entry: entry is first)
    )

    assert finding.verdict is Verdict.UNKNOWN
    assert "it was not injected at its time" in finding.problems[0]


def test_a_fault_that_came_much_later_was_not_the_planned_one(evidence: Evidence) -> None:
    late = [
        entry.model_copy(update={"at": entry.at + timedelta(minutes=5)})
        if entry.event is Event.FAULT
        else entry
        for entry in evidence.journal
    ]

    assert len(_problems(replace(evidence, journal=late))) >= len(SCHEDULE.faults)


def test_a_fault_that_was_not_healed_is_seen(evidence: Evidence) -> None:
    problems = _problems(_without(evidence, lambda entry: entry.event is Event.HEALED))

    assert all("it was not healed" in problem for problem in problems)
    assert len(problems) == len(SCHEDULE.faults)


def test_a_fault_without_any_load_shows_nothing(evidence: Evidence) -> None:
    problems = _problems(replace(evidence, workflows={}))

    assert "no workflow was open" in problems[0]


def test_kills_without_a_signal_are_seen(evidence: Evidence) -> None:
    problems = _problems(_without(evidence, lambda entry: entry.event is Event.SIGNALED))

    assert "no worker got a signal" in problems


def test_toxics_that_met_nobody_are_seen(evidence: Evidence) -> None:
    alone = replace(evidence)
    vars(alone)["network"] = {}

    assert "no toxic met a connection" in _problems(alone)


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

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History

from chaos.evidence import Evidence
from chaos.invariants.recovery import recovers_within_its_bound
from chaos.verdict import Verdict

Change = Callable[[Evidence, str, Callable[[History], None]], Evidence]


def _started_later(seconds: float) -> Callable[[History], None]:
    """The last start that followed a lost attempt comes later, or else the last one of all."""

    def edit(history: History) -> None:
        starts = [
            event
            for event in history.events
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
        ]
        again = [e for e in starts if e.activity_task_started_event_attributes.attempt > 1]
        first = list(history.events).index((again or starts)[-1])
        for event in history.events[first:]:
            at: datetime = event.event_time.ToDatetime(tzinfo=UTC)
            event.event_time.FromDatetime(at + timedelta(seconds=seconds))

    return edit


def _heartbeat_of(seconds: int) -> Callable[[History], None]:
    def edit(history: History) -> None:
        for event in history.events:
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                scheduled = event.activity_task_scheduled_event_attributes
                scheduled.heartbeat_timeout.FromSeconds(seconds)

    return edit


@pytest.mark.parametrize(
    "name",
    ["worker_crash", "retry_config", "server_restart", "each_role", "checkpoint", "concurrency"],
)
def test_real_evidence_holds(name: str, request: pytest.FixtureRequest) -> None:
    assert recovers_within_its_bound.examine(request.getfixturevalue(name)).problems == ()


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("worker_crash", "kill at worker-2"),
        ("checkpoint", "kill at worker-1"),
        ("server_restart", "kill at temporal-server"),
        ("each_role", "kill at everything"),
        ("retry_config", "status_503 at fake-api"),
    ],
)
def test_a_recovery_that_takes_longer_fails(
    name: str, fault: str, request: pytest.FixtureRequest, with_history: Change
) -> None:
    evidence = request.getfixturevalue(name)
    for workflow_id in evidence.workflows:
        evidence = with_history(evidence, workflow_id, _started_later(15.0))

    finding = recovers_within_its_bound.examine(evidence)

    assert finding.verdict is Verdict.FAILED
    assert f"after the fault {fault} work went on after" in finding.problems[-1]


def test_the_bound_is_that_of_the_recorded_heartbeat_timeout(
    checkpoint: Evidence, with_history: Change
) -> None:
    quicker = with_history(checkpoint, "checkpoint-series", _heartbeat_of(2))

    (problem,) = recovers_within_its_bound.examine(quicker).problems

    assert problem.endswith("work went on after 18.1 s, not within 16.0 s")

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History

from chaos.evidence.case import Evidence
from chaos.evidence.journal import Event
from chaos.invariants import Invariant, Late, Unmeasured
from chaos.invariants.proofs import killed_while_open
from chaos.invariants.recovers import recovers_within_its_bound
from chaos.invariants.verdict import Verdict
from tests.unit.chaos.invariants.timed import with_timings

FALSE_PASSES = Path(__file__).parents[3] / "data" / "false_passes"

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
        ("retry_config", "status_503 at api"),
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
    assert f"after the fault {fault} work resumed after" in finding.problems[-1]


def test_the_bound_is_that_of_the_recorded_heartbeat_timeout(
    checkpoint: Evidence, with_history: Change
) -> None:
    quicker = with_history(checkpoint, "checkpoint-series", _heartbeat_of(2))

    (problem,) = recovers_within_its_bound.examine(quicker).problems

    assert problem.endswith("work resumed after 18.1 s, not within 16.0 s")


@pytest.fixture
def late() -> Evidence:
    """A plain SDK worker was killed when its last heartbeat was 5 s old; 1 s was promised."""
    evidence = Evidence.load(FALSE_PASSES / "worker_dies_charging")
    calm = [entry for entry in evidence.journal if entry.event is not Event.STRAIN]
    return replace(evidence, journal=calm)


def test_a_promise_is_not_kept_by_a_heartbeat_that_was_old_already(late: Evidence) -> None:
    finding = recovers_within_its_bound.examine(late)

    assert finding.verdict is Verdict.FAILED
    assert finding.problems == (
        "after the fault kill at worker-1 work resumed after 13.8 s, not within 1.0 s",
    )


def test_a_recovery_that_nobody_measured_is_unknown(late: Evidence) -> None:
    """As where a system says that it sends heartbeats more often than it does."""
    finding = recovers_within_its_bound.examine(with_timings(late, heartbeat_interval_seconds=1.0))

    assert finding.verdict is Verdict.UNKNOWN
    problem, why = finding.problems
    assert problem == (
        "worker-1 was killed with charge_card of promised-too-much in flight, and no later attempt "
        "belongs to it: its recovery is not measured"
    )
    assert why == "unknown: it was not measured"


def _never_taken_up(history: History) -> None:
    """The history ends with the attempt that was lost: it stands as if it were open."""
    for number, event in enumerate(history.events):
        if event.activity_task_started_event_attributes.attempt > 1:
            del history.events[number:]
            return


def test_work_that_nobody_took_up_again_is_not_measured(
    late: Evidence, with_history: Change
) -> None:
    hangs = with_history(late, "promised-too-much", _never_taken_up)

    finding = recovers_within_its_bound.examine(hangs)

    assert finding.verdict is Verdict.UNKNOWN
    assert "no later attempt belongs to it" in finding.problems[0]


def test_what_was_not_measured_excuses_no_recovery_that_was_late(late: Evidence) -> None:
    both = Invariant("both", lambda _: (Late("it was late"), Unmeasured("nobody knows")))

    assert both.examine(late).verdict is Verdict.FAILED


def test_a_step_that_the_workflow_itself_makes_anew_is_taken_up(
    late: Evidence, with_history: Change
) -> None:
    """A system may promise that as well; where it does not, no timeout does."""
    changed = with_history(late, "promised-too-much", _lost_for_good_and_made_anew)

    promising = with_timings(changed, recovery_seconds=60.0)
    assert recovers_within_its_bound.examine(promising).problems == ()
    finding = recovers_within_its_bound.examine(changed)
    assert finding.verdict is Verdict.UNKNOWN


def _lost_for_good_and_made_anew(history: History) -> None:
    """The attempt of the killed worker was the last one, and the same was scheduled once more."""
    events = list(history.events)
    (again,) = [e for e in events if e.activity_task_started_event_attributes.attempt > 1]
    number = again.activity_task_started_event_attributes.scheduled_event_id
    (asked,) = [e for e in events if e.event_id == number]
    at: datetime = asked.event_time.ToDatetime(tzinfo=UTC)
    pid = next(
        e.workflow_task_started_event_attributes.identity
        for e in events
        if e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
    )

    lost = type(again)()
    lost.CopyFrom(again)
    lost.event_id = 1001
    lost.event_time.FromDatetime(at + timedelta(seconds=0.01))
    lost.activity_task_started_event_attributes.attempt = 1
    lost.activity_task_started_event_attributes.ClearField("last_failure")
    lost.activity_task_started_event_attributes.identity = pid

    failed = type(again)(event_id=1002, event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT)
    failed.event_time.CopyFrom(again.event_time)
    failed.activity_task_timed_out_event_attributes.scheduled_event_id = number

    repeated = type(again)()
    repeated.CopyFrom(asked)
    repeated.event_id = 1003
    repeated.event_time.CopyFrom(again.event_time)
    again.activity_task_started_event_attributes.attempt = 1
    again.activity_task_started_event_attributes.ClearField("last_failure")
    for event in events:
        for attributes in (
            event.activity_task_started_event_attributes,
            event.activity_task_completed_event_attributes,
        ):
            if attributes.scheduled_event_id == number:
                attributes.scheduled_event_id = 1003

    place = events.index(again)
    del history.events[:]
    history.events.extend([*events[:place], lost, failed, repeated, *events[place:]])


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        (
            "worker_dies_in_a_local_activity",
            (
                "after the fault kill at worker-1 a task of local itself was resumed after 7.0 s, "
                "not within 1.0 s"
            ),
        ),
        (
            "worker_dies_before_the_time_is_up",
            (
                "after the fault kill at worker-1 work resumed after 7.9 s, not within 1.0 s "
                "(slow: its heartbeat timeout of 8 s is not below its start-to-close of 8 s)"
            ),
        ),
        (
            "worker_dies_with_a_child",
            "after the fault kill at worker-1 work resumed after 6.5 s, not within 1.0 s",
        ),
    ],
)
def test_a_promise_holds_for_whatever_a_worker_had_in_flight(case: str, problem: str) -> None:
    """A local activity, an attempt whose time is up before its heartbeat is missed, a child's."""
    evidence = Evidence.load(FALSE_PASSES / case)
    calm = [entry for entry in evidence.journal if entry.event is not Event.STRAIN]
    hasty = with_timings(replace(evidence, journal=calm), recovery_seconds=1.0)

    finding = recovers_within_its_bound.examine(hasty)

    assert finding.verdict is Verdict.FAILED
    assert finding.problems == (problem,)
    patient = with_timings(hasty, recovery_seconds=25.0)
    assert recovers_within_its_bound.examine(patient).problems == ()


def test_an_attempt_whose_time_was_up_first_was_in_flight() -> None:
    evidence = Evidence.load(FALSE_PASSES / "worker_dies_before_the_time_is_up")

    assert killed_while_open(("worker-1",), "short", "slow").examine(evidence).problems == ()

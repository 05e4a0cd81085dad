"""How long an open workflow waits is known without waiting for it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from temporalio.api.enums.v1 import WorkflowTaskFailedCause

from chaos.evidence.pending import Pending, PendingActivity, PendingTask
from chaos.search.probe.waiting import NEVER, Patience, outlasts, shortest, waits
from tests.unit.chaos.made_history import Made, at, refused
from tests.unit.chaos.search.probe.made_runs import with_worker

PATIENCE = 60.0


def scheduled(*, heartbeat: float = 0, start_to_close: int = 600) -> Made:
    """An activity that is open."""
    made = Made()
    made.scheduled("charge_card", heartbeat=heartbeat)
    attributes = made.events[-1].activity_task_scheduled_event_attributes
    attributes.start_to_close_timeout.FromSeconds(start_to_close)
    return made


def test_an_attempt_without_heartbeats_lasts_as_long_as_it_may_take() -> None:
    found = waits(scheduled().workflow(with_worker(1)), at(2))

    assert [wait.seconds for wait in found] == [599]
    assert outlasts(found, PATIENCE) is found[0]


def test_an_attempt_with_heartbeats_is_missed_after_the_last_one() -> None:
    pending = with_worker(1, heartbeat_at=at(4))
    found = waits(scheduled(heartbeat=15).workflow(pending), at(5))

    assert [wait.seconds for wait in found] == [14]
    assert outlasts(found, PATIENCE) is None


def test_an_attempt_that_began_after_the_disturbance_is_with_a_worker() -> None:
    found = waits(scheduled().workflow(with_worker(3)), at(2))

    assert [wait.text for wait in found] == ["charge_card, attempt 1 runs"]
    assert outlasts(found, PATIENCE) is None


def test_what_goes_on_first_counts() -> None:
    lost, runs = with_worker(1).activities[0], with_worker(3, kind="ship").activities[0]
    found = waits(scheduled().workflow(Pending(at=at(9), activities=(lost, runs))), at(2))

    assert outlasts(found, PATIENCE) is None


def test_a_retry_that_is_due_late_is_certain() -> None:
    activity = PendingActivity(
        activity_id="2", kind="charge_card", attempt=2, due_at=at(300), last_failure="Busy: x"
    )
    found = waits(scheduled().workflow(Pending(at=at(9), activities=(activity,))), at(2))

    assert found[0].text == (
        "charge_card, attempt 2 is due after 298 s, because the last failed: Busy: x"
    )
    assert outlasts(found, PATIENCE) is found[0]


def test_a_timer_tells_when_it_ends() -> None:
    made = Made()
    timer = made.add("TIMER_STARTED", 1).timer_started_event_attributes
    timer.start_to_fire_timeout.FromTimedelta(timedelta(seconds=31))
    found = waits(made.workflow(Pending(at=at(9))), at(2))

    assert [wait.seconds for wait in found] == [30]


def test_what_waits_for_nothing_that_is_known_may_wait_for_ever() -> None:
    (found,) = waits(Made().workflow(Pending(at=at(9))), at(2))

    assert found.seconds == NEVER
    assert outlasts([found], PATIENCE) is None, "somebody may still send a signal"


@pytest.mark.parametrize("started", [None, 4.0])
def test_a_workflow_task_is_waited_for(started: float | None) -> None:
    since = at(3)
    task = PendingTask(attempt=1, since=since, started_at=at(started) if started else None)
    found = waits(Made().workflow(Pending(at=at(9), task=task)), at(2))

    assert outlasts(found, PATIENCE) is None
    assert shortest(found) is found[0]


def test_nothing_is_known_of_what_nobody_asked_the_server_about() -> None:
    assert list(waits(Made().workflow(), at(2))) == []
    assert shortest([]) is None


def test_a_workflow_task_that_nobody_ever_completes_is_certain() -> None:
    task = PendingTask(attempt=4, since=at(3), started_at=at(8))
    found = waits(Made().workflow(Pending(at=at(9), task=task)), at(2))

    assert outlasts(found, PATIENCE) is found[0]
    assert "attempt 4: workers get it, and none completes it" in found[0].text


@pytest.mark.parametrize(("attempt", "is_certain"), [(4, True), (2, False)])
def test_a_workflow_task_that_fails_whoever_tries_it_is_certain(
    attempt: int, *, is_certain: bool
) -> None:
    unhandled = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE
    made = Made().task_failed(unhandled, refused("TypeError: no order"))
    task = PendingTask(attempt=attempt, since=at(3))
    found = waits(made.workflow(Pending(at=at(9), task=task)), at(2))

    assert (outlasts(found, PATIENCE) is not None) is is_certain


@pytest.mark.parametrize(("heard_at", "is_deaf"), [(40.0, True), (6.0, False)])
def test_an_activity_that_goes_on_after_its_cancellation_is_deaf(
    heard_at: float, *, is_deaf: bool
) -> None:
    made = scheduled(heartbeat=3)
    made.add("ACTIVITY_TASK_CANCEL_REQUESTED", 5)
    pending = with_worker(3, heartbeat_at=at(heard_at), cancel_requested=True)
    found = waits(made.workflow(pending), at(2))

    assert (outlasts(found, PATIENCE) is not None) is is_deaf


def _with_a_timer(seconds: int) -> Made:
    made = Made()
    started = made.add("TIMER_STARTED", 2).timer_started_event_attributes
    started.timer_id = "1"
    started.start_to_fire_timeout.FromSeconds(seconds)
    return made


def test_a_timer_that_it_has_undisturbed_as_well_is_waited_for() -> None:
    found = waits(_with_a_timer(90).workflow(Pending(at=at(9))), at(2))
    usual = Patience(seconds=60, undisturbed_seconds=92)

    assert outlasts(found, usual.longest_wait_seconds) is None


def test_a_timer_that_it_has_only_since_it_was_disturbed_is_not() -> None:
    found = waits(_with_a_timer(3600).workflow(Pending(at=at(9))), at(2))
    usual = Patience(seconds=60, undisturbed_seconds=5)

    assert outlasts(found, usual.longest_wait_seconds) is found[0]

"""Anti-patterns in hand-made histories: each with one that has it, and one that is sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.api.common.v1 import RetryPolicy
from temporalio.api.enums.v1 import TimeoutType
from temporalio.api.failure.v1 import Failure, TimeoutFailureInfo

from chaos.evidence.case import Evidence
from chaos.evidence.headroom import CALM, Strain
from chaos.evidence.journal import Entry, Event
from chaos.evidence.pending import Pending, PendingActivity
from chaos.invariants.antipatterns import Notice, Pattern, notices
from tests.unit.chaos.made_history import Made, at, evidence_of, refused

_BUSY = Strain(pressure=0.9, steal=0.0, lag_seconds=2.0)
_LOST = Failure(
    message="activity StartToClose timeout",
    timeout_failure_info=TimeoutFailureInfo(timeout_type=TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE),
)


def _case(made: Made, *entries: Entry, strain: Strain | None = CALM) -> Evidence:
    measured = [Entry(at=at(0), event=Event.STRAIN, strain=strain)] if strain else []
    return replace(evidence_of(made.workflow()), journal=[*measured, *entries])


def _found(made: Made, *entries: Entry, strain: Strain | None = CALM) -> Sequence[Notice]:
    return notices(_case(made, *entries, strain=strain))


def _charged(  # noqa: PLR0913 - each is named by its caller
    *,
    attempt: int = 1,
    took: float = 1,
    last: Failure | None = None,
    policy: RetryPolicy | None = None,
    heartbeat: float = 0,
    start_to_close: float = 45,
    schedule_to_close: float = 0,
) -> Made:
    """An order whose card was charged at this attempt, which took so long."""
    made = Made()
    number = made.scheduled("charge_card", heartbeat=heartbeat)
    attributes = made.events[number - 1].activity_task_scheduled_event_attributes
    attributes.start_to_close_timeout.FromTimedelta(timedelta(seconds=start_to_close))
    attributes.schedule_to_close_timeout.FromTimedelta(timedelta(seconds=schedule_to_close))
    if policy:
        attributes.retry_policy.CopyFrom(policy)
    made.done(number, attempt=attempt, seconds=2)
    made.events[-1].event_time.FromDatetime(at(2 + took))
    if last:
        made.events[-2].activity_task_started_event_attributes.last_failure.CopyFrom(last)
    return made.ended()


def test_a_sound_order_has_none() -> None:
    sound = _charged(attempt=4, last=refused("503"), policy=RetryPolicy(maximum_attempts=5))

    assert _found(sound) == []


def test_retries_without_an_end_are_noticed() -> None:
    (notice,) = _found(_charged(attempt=7, last=refused("503")))

    assert notice.pattern is Pattern.ENDLESS_RETRIES
    assert (notice.workflow_id, notice.activity, notice.count) == ("order-1", "charge_card", 1)
    assert notice.text.startswith("it was at attempt 7, and nothing ends that")


def test_those_that_still_go_on_are_noticed_too() -> None:
    made = Made()
    number = made.scheduled("charge_card", heartbeat=15)
    open_ = PendingActivity(
        activity_id=str(number), kind="charge_card", attempt=9, last_failure="503"
    )
    workflow = made.workflow(Pending(at=at(60), activities=(open_,)))

    (notice,) = notices(evidence_of(workflow))

    assert notice.text.startswith("it was at attempt 9")


@pytest.mark.parametrize(
    "sound",
    [
        _charged(attempt=7, last=refused("503"), policy=RetryPolicy(maximum_attempts=9)),
        _charged(
            attempt=7,
            last=refused("503"),
            policy=RetryPolicy(non_retryable_error_types=["Refused"]),
        ),
        _charged(attempt=7, last=refused("503"), schedule_to_close=600),
        _charged(attempt=2, last=refused("503")),
    ],
    ids=["a maximum", "a refusal is final", "a time for all", "one retry"],
)
def test_retries_with_an_end_are_not(sound: Made) -> None:
    assert _found(sound) == []


def test_attempts_that_were_lost_with_workers_are_no_endless_retries() -> None:
    lost = _charged(attempt=7, last=_LOST, start_to_close=5)

    assert _found(lost) == []


def test_a_loss_that_only_the_start_to_close_timeout_shows_is_noticed() -> None:
    (notice,) = _found(_charged(attempt=2, last=_LOST))

    assert notice.pattern is Pattern.NO_HEARTBEAT
    assert notice.text.endswith("its start-to-close timeout of 45 s")


def test_long_work_without_heartbeats_is_noticed() -> None:
    (notice,) = _found(_charged(took=40))

    assert notice.pattern is Pattern.NO_HEARTBEAT
    assert notice.text.startswith("it ran for 40 s without heartbeats")


def test_long_work_with_heartbeats_is_not() -> None:
    assert _found(_charged(took=40, heartbeat=15)) == []
    assert _found(_charged(attempt=2, last=_LOST, heartbeat=15)) == []


def test_a_loss_that_is_soon_noticed_is_not() -> None:
    assert _found(_charged(attempt=2, last=_LOST, start_to_close=5)) == []


@pytest.mark.parametrize("limit", [0, 600])
def test_an_attempt_that_may_take_all_the_time_is_noticed(limit: float) -> None:
    (notice,) = _found(_charged(start_to_close=limit, schedule_to_close=600))

    assert notice.pattern is Pattern.NO_BOUND
    assert "600 s" in notice.text


def test_one_with_a_bound_or_a_heartbeat_or_no_retry_is_not() -> None:
    once = RetryPolicy(maximum_attempts=1)

    assert _found(_charged(start_to_close=60, schedule_to_close=600)) == []
    assert _found(_charged(start_to_close=600, schedule_to_close=600, policy=once)) == []
    assert _found(_charged(start_to_close=600, schedule_to_close=600, heartbeat=15)) == []


def test_one_that_the_workflow_itself_bounds_is_not() -> None:
    short = _charged(start_to_close=600, schedule_to_close=600)
    started = short.events[0].workflow_execution_started_event_attributes
    started.workflow_run_timeout.FromSeconds(600)

    assert _found(short) == []


def _decided(took: float) -> Made:
    made = Made()
    started = made.add("WORKFLOW_TASK_STARTED", 1)
    done = made.add("WORKFLOW_TASK_COMPLETED", 1 + took)
    done.workflow_task_completed_event_attributes.started_event_id = started.event_id
    return made


def test_work_in_a_workflow_task_is_noticed() -> None:
    (notice,) = _found(_decided(1.7).ended())

    assert notice.pattern is Pattern.WORK_IN_A_TASK
    assert (notice.workflow_type, notice.activity) == ("Order", "")
    assert notice.text.startswith("the workflow task of event 3 took 1.7 s")


def test_a_task_that_only_decides_is_not() -> None:
    assert _found(_decided(0.4).ended()) == []


def test_a_task_with_a_local_activity_is_not() -> None:
    waited = _decided(3)
    waited.add("MARKER_RECORDED", 4)

    assert _found(waited.ended()) == []


def test_a_task_that_a_fault_slowed_down_is_not() -> None:
    fault = Entry(at=at(2), event=Event.FAULT, kind="pause", target="temporal-server")

    assert _found(_decided(3).ended(), fault) == []


def _looping(rounds: int, *, by_timer: bool = True) -> Made:
    made = Made()
    for number in range(rounds + 1):
        scheduled = made.scheduled("charge_card", 10 * number + 1)
        failed = made.add("ACTIVITY_TASK_FAILED", 10 * number + 2)
        failed.activity_task_failed_event_attributes.scheduled_event_id = scheduled
        if by_timer:
            made.add("TIMER_STARTED", 10 * number + 2)
            made.add("TIMER_FIRED", 10 * number + 9)
    return made.ended("FAILED", 10 * rounds + 9)


def test_a_loop_of_timers_and_failures_is_noticed() -> None:
    (notice,) = _found(_looping(4))

    assert notice.pattern is Pattern.WAITING_BY_TIMERS
    assert notice.text.startswith("it failed 4 times, and was scheduled again after a timer")


def test_two_rounds_or_no_timer_are_not() -> None:
    assert _found(_looping(2)) == []
    assert _found(_looping(4, by_timer=False)) == []


@pytest.mark.parametrize("made", [_charged(took=40), _decided(1.7).ended()])
@pytest.mark.parametrize("strain", [_BUSY, None], ids=["busy", "not measured"])
def test_a_busy_machine_gives_no_notice(made: Made, strain: Strain | None) -> None:
    assert _found(made, strain=strain) == []


def test_many_workflows_of_a_type_are_one_notice() -> None:
    orders = [replace(_charged(took=40).workflow(), workflow_id=f"order-{n}") for n in range(3)]
    evidence = _case(_charged())
    evidence = replace(evidence, workflows={each.workflow_id: each for each in orders})

    (notice,) = notices(evidence)

    assert (notice.workflow_id, notice.count) == ("order-0", 3)


def test_damaged_histories_cost_no_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    from chaos.experiment import results  # noqa: PLC0415 - what is replaced is its own

    def broken(evidence: Evidence) -> Sequence[Notice]:
        raise KeyError(evidence.folder)

    monkeypatch.setattr(results, "notices", broken)

    assert results._notices(_case(_charged())) == ()

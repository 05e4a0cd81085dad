"""What became of a disturbed run: each word with evidence that earns it, and some that does not."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.enums.v1 import WorkflowTaskFailedCause

from chaos.evidence.pending import Pending, PendingTask
from chaos.search.probe.record import Fate
from chaos.wire.journal import Called
from tests.unit.chaos.made_history import Made, at, refused
from tests.unit.chaos.search.probe.made_runs import (
    asked,
    charged,
    evidence,
    found,
    given,
    lost,
    normal,
    returned,
    seen,
    strained,
    with_worker,
)

_NON_DETERMINISTIC = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR
_UNHANDLED = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE

RIGHT = {"id": 7}


def test_what_ends_as_undisturbed_survived() -> None:
    assert [each.fate for each in found(evidence(charged(RIGHT, attempt=1)))] == [Fate.SURVIVED]


def test_what_was_not_provably_hit_is_unknown_and_never_a_pass() -> None:
    (one,) = found(evidence(charged(RIGHT)), not_hit="nobody came there")

    assert (one.fate, one.text) == (Fate.UNKNOWN, "nobody came there")


def test_what_broke_is_certain_whether_or_not_the_hit_is_proven() -> None:
    fates = [each.fate for each in found(lost(), not_hit="nobody came there")]

    assert fates == [Fate.LOST, Fate.UNKNOWN]


def test_a_result_that_is_gone_is_lost() -> None:
    assert found(evidence(charged()))[0].fate is Fate.LOST


def test_no_result_is_none_that_is_lost_where_there_never_is_one() -> None:
    without = normal(*[seen(evidence(charged()))] * 2)

    assert found(evidence(charged()), baseline=without)[0].fate is Fate.SURVIVED


def test_another_result_is_told_by_its_place_and_never_by_its_value() -> None:
    (one,) = found(evidence(charged({"id": "a secret"})))

    assert one.fate is Fate.OTHER_RESULT
    assert one.text == "its result is not that of the undisturbed runs: id"


def test_what_differs_between_undisturbed_runs_is_no_finding() -> None:
    varied = normal(*(seen(evidence(charged({"id": number, "total": 3}))) for number in (1, 2)))

    assert found(evidence(charged({"id": 3, "total": 3})), baseline=varied)[0].fate is Fate.SURVIVED
    assert found(evidence(charged({"id": 3, "total": 4})), baseline=varied)[0].text.endswith(
        "total"
    )


def test_the_id_of_a_run_in_its_result_is_no_difference() -> None:
    named = normal(
        *(
            seen(evidence(charged({"id": f"receipt of {name}"}, workflow_id=name)))
            for name in ("normal-1", "normal-2")
        )
    )

    assert found(evidence(charged({"id": "receipt of order-1"})), baseline=named)[0].fate is (
        Fate.SURVIVED
    )


def test_what_fails_that_completed_undisturbed_has_failed() -> None:
    (one,) = found(evidence(_failed("no such card")))

    assert one.fate is Fate.FAILED
    assert one.text == "it is failed, undisturbed it is completed: Refused: no such card"


def test_what_completes_that_failed_undisturbed_is_another_result() -> None:
    failing = normal(*[seen(evidence(Made().ended("FAILED")))] * 2)

    assert found(evidence(charged(RIGHT)), baseline=failing)[0].fate is Fate.OTHER_RESULT
    assert found(evidence(Made().ended("FAILED")), baseline=failing)[0].fate is Fate.SURVIVED


def _failed(message: str) -> Made:
    made = Made().ended("FAILED")
    attributes = made.events[-1].workflow_execution_failed_event_attributes
    attributes.failure.CopyFrom(refused(message, "Refused"))
    return made


def test_what_fails_for_another_reason_is_another_result_and_the_reason_is_told() -> None:
    failing = normal(*[seen(evidence(_failed("no such card")))] * 2)

    assert found(evidence(_failed("no such card")), baseline=failing)[0].fate is Fate.SURVIVED
    (one,) = found(evidence(_failed("timed out")), baseline=failing)
    assert one.fate is Fate.OTHER_RESULT
    assert one.text == "it is failed, unlike the undisturbed runs: Refused: timed out"


def test_a_replay_that_decides_differently_is_not_deterministic_even_if_it_ends_well() -> None:
    made = Made().task_failed(_NON_DETERMINISTIC, refused("Nondeterminism error: x"))

    (one,) = found(evidence(returned(made, RIGHT)))

    assert one.fate is Fate.NOT_DETERMINISTIC
    assert one.text == "a workflow task failed: NonDeterministicError: Nondeterminism error: x"


def test_another_failure_of_a_workflow_task_that_is_retried_well_is_not_that() -> None:
    made = Made().task_failed(_UNHANDLED, refused("busy"))

    assert found(evidence(returned(made, RIGHT)))[0].fate is Fate.SURVIVED


def test_an_attempt_without_heartbeats_is_stuck_and_its_own_timeouts_say_why() -> None:
    made = Made()
    made.scheduled("charge_card")
    scheduled = made.events[-1].activity_task_scheduled_event_attributes
    scheduled.start_to_close_timeout.FromSeconds(600)

    (one,) = found(evidence(made, with_worker(1)))

    assert one.fate is Fate.STUCK
    assert one.text == (
        "charge_card, attempt 1 is with no worker, and would be retried only after "
        "599 s: it has no heartbeat timeout; its start-to-close is 600 s"
    )


def test_a_machine_that_was_busy_excuses_no_timeout_that_is_too_long() -> None:
    made = Made()
    made.scheduled("charge_card")
    scheduled = made.events[-1].activity_task_scheduled_event_attributes
    scheduled.start_to_close_timeout.FromSeconds(600)
    busy = evidence(made, with_worker(1), journal=strained(0.9))

    assert found(busy)[0].fate is Fate.STUCK


@pytest.mark.parametrize(("pressure", "fate"), [(0.9, Fate.UNKNOWN), (0.1, Fate.STUCK)])
def test_what_is_late_for_no_reason_of_its_own_is_unknown_on_a_busy_machine(
    pressure: float, fate: Fate
) -> None:
    made = Made()
    made.scheduled("charge_card", heartbeat=5)
    open_task = Pending(at=at(70), task=PendingTask(attempt=1, since=at(3)))
    run = evidence(made, open_task, journal=strained(pressure))

    assert found(run)[0].fate is fate


def test_a_workflow_task_that_fails_for_ever_is_stuck() -> None:
    made = Made().task_failed(_UNHANDLED, refused("KeyError: 'seen'"))
    failing = Pending(at=at(70), task=PendingTask(attempt=9, since=at(3)))

    (one,) = found(evidence(made, failing))

    assert one.fate is Fate.STUCK
    assert "fails again and again (attempt 9)" in one.text
    assert "KeyError" in one.text


A, B, NEITHER, READ = asked(key="a"), asked(key="b"), asked(), asked("GET /charges")
REFUSED, UNSENT, OTHER = asked(status="409"), asked(forwarded=False), asked(key="b", body="b")
CANNOT_TELL = (
    "payments was asked 2 times for POST /charges during charge_card: the same body without one "
    "idempotency key, so the service cannot detect the repetition"
)


@pytest.mark.parametrize(
    ("usual", "calls", "fate", "text"),
    [
        ((A,), (A, B), Fate.DONE_TWICE, CANNOT_TELL),
        ((NEITHER,), (NEITHER, NEITHER), Fate.DONE_TWICE, CANNOT_TELL),
        ((A,), (A, OTHER), Fate.DONE_TWICE, "payments POST /charges was sent 2 times, undist"),
        ((A,), (A, A), Fate.SENT_AGAIN, ""),
        ((READ,), (READ, READ), Fate.SENT_AGAIN, ""),
        ((NEITHER,), (REFUSED, NEITHER), Fate.SURVIVED, ""),
        ((NEITHER,), (UNSENT, NEITHER), Fate.SURVIVED, ""),
        ((NEITHER, NEITHER), (NEITHER, NEITHER), Fate.SURVIVED, ""),
    ],
    ids=["other key", "no key", "all new", "same key", "read", "refused", "unsent", "as usual"],
)
def test_what_a_request_that_comes_again_means(
    usual: tuple[Called, ...], calls: tuple[Called, ...], fate: Fate, text: str
) -> None:
    undisturbed = normal(*[seen(evidence(charged(RIGHT)), *usual)] * 2)

    (one,) = found(evidence(charged(RIGHT)), *calls, baseline=undisturbed)

    assert one.fate is fate
    assert one.text.startswith(text)


@pytest.mark.parametrize("fate", Fate)
def test_only_what_does_harm_is_bad(fate: Fate) -> None:
    fine = {Fate.UNKNOWN, Fate.SENT_AGAIN, Fate.RAN_TWICE, Fate.SURVIVED}

    assert fate.is_bad is (fate not in fine)


def test_an_activity_that_ran_again_unseen_is_told_apart_from_harm() -> None:
    (one,) = found(
        evidence(charged(RIGHT, attempt=2)),
        given("activity charge_card assigned"),
        given("activity charge_card assigned", attempt=2),
    )

    assert one.fate is Fate.RAN_TWICE
    assert one.text.startswith("charge_card was started 2 times")


def test_an_activity_whose_services_are_seen_is_judged_by_what_they_were_asked() -> None:
    once = normal(*[seen(evidence(charged(RIGHT)), asked(key="a"))] * 2)
    run = found(
        evidence(charged(RIGHT, attempt=2)),
        given("activity charge_card assigned"),
        given("activity charge_card assigned", attempt=2),
        asked(key="a"),
        baseline=once,
    )

    assert [each.fate for each in run] == [Fate.SURVIVED]


@pytest.mark.parametrize(
    "fields",
    [
        {"delivered_at": None, "status": ""},  # the worker was killed
        {"status": "UNAVAILABLE"},  # its reply was dropped, and it was told so
    ],
)
def test_an_attempt_that_no_worker_got_did_not_run(fields: dict[str, Any]) -> None:
    never = given("activity charge_card assigned").model_copy(update=fields)
    run = found(
        evidence(charged(RIGHT, attempt=2)),
        never,
        given("activity charge_card assigned", attempt=2),
    )

    assert [each.fate for each in run] == [Fate.SURVIVED]


def test_without_a_wire_the_attempts_of_the_history_count() -> None:
    assert found(evidence(charged(RIGHT, attempt=2)))[0].fate is Fate.RAN_TWICE


def test_the_worst_comes_first() -> None:
    once = normal(*[seen(evidence(charged(RIGHT)), asked(key="a"))] * 2)
    run = found(evidence(charged({"id": 8})), asked(key="a"), asked(), baseline=once)

    assert [each.fate for each in run] == [Fate.OTHER_RESULT, Fate.DONE_TWICE]


def _given_up() -> Made:
    """An order that returned as usual though nobody charged its card."""
    made = Made()
    number = made.scheduled("charge_card")
    closed = made.add("ACTIVITY_TASK_TIMED_OUT", 5)
    closed.activity_task_timed_out_event_attributes.scheduled_event_id = number
    return returned(made, RIGHT)


def test_what_an_activity_should_have_done_is_lost_if_its_workflow_goes_on_without() -> None:
    (one,) = found(evidence(_given_up()))

    assert one.fate is Fate.LOST
    assert "charge_card" in one.text


def test_what_comes_to_nothing_undisturbed_as_well_is_not_lost() -> None:
    usual = normal(*[seen(evidence(_given_up()))] * 2)

    assert [each.fate for each in found(evidence(_given_up()), baseline=usual)] == [Fate.SURVIVED]


def test_an_activity_that_is_only_seen_to_read_may_do_harm_unseen() -> None:
    reads = asked("GET /charges")
    once = normal(*[seen(evidence(charged(RIGHT)), reads)] * 2)
    run = found(
        evidence(charged(RIGHT, attempt=2)),
        given("activity charge_card assigned"),
        given("activity charge_card assigned", attempt=2),
        *(reads, reads),
        baseline=once,
    )

    assert [each.fate for each in run] == [Fate.SENT_AGAIN, Fate.RAN_TWICE]


@pytest.mark.parametrize("marker", ["core_local_activity", "LocalActivity"])
def test_a_local_activity_that_is_reported_again_ran_twice(marker: str) -> None:
    calls = [given(f"marker {marker} completing", seconds=seconds) for seconds in (1, 12)]
    once = normal(*[seen(evidence(charged(RIGHT)), calls[0])] * 2)

    (one,) = found(evidence(charged(RIGHT)), *calls, baseline=once)

    assert one.fate is Fate.RAN_TWICE
    assert "a local activity" in one.text

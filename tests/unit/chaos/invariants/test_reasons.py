"""What the reasons say of a workflow that hangs, by evidence made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from temporalio.api.enums.v1 import TaskQueueKind, TimeoutType, WorkflowTaskFailedCause

from chaos.evidence.case import Evidence, Timings
from chaos.evidence.history import Status
from chaos.evidence.journal import Entry, Event
from chaos.evidence.pending import (
    Pending,
    PendingActivity,
    PendingChild,
    PendingTask,
    Queued,
)
from chaos.invariants import Late, Unmeasured
from chaos.invariants.attempts import attempts_are_as_expected
from chaos.invariants.hanging import hanging, policy_told
from chaos.invariants.recovers import recovers_within_its_bound
from chaos.invariants.survival import no_workflow_task_fails, workflows_end_as_expected
from chaos.invariants.verdict import Verdict
from tests.unit.chaos.made_history import Made, at, evidence_of, refused

NONDETERMINISM = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR
UNHANDLED_COMMAND = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND
SENTENCE = "[TMPRL1100] Nondeterminism error: Timer machine does not handle this event"
CARD = PendingActivity(
    activity_id="2",
    kind="charge_card",
    attempt=3,
    due_at=at(103),
    last_failure="ApplicationError: card declined",
)
IDLE = Pending(at=at(63))


def _charging(activity: PendingActivity = CARD, **options: Any) -> Any:
    made = Made()
    made.scheduled("charge_card")
    return evidence_of(made.workflow(Pending(at=at(63), activities=(activity,))), **options)


def _running(pending: Pending | None, made: Made | None = None) -> Any:
    workflow = (made or Made()).workflow(pending)
    return evidence_of(workflow, status=Status.RUNNING)


def test_an_activity_that_waits_for_its_next_try_is_told_with_its_last_failure() -> None:
    (problem,) = workflows_end_as_expected.examine(_charging()).problems

    assert problem == (
        "order-1 is running, not completed: charge_card at attempt 3, last failure "
        "ApplicationError: card declined, next try at 12:01:43 UTC (in 40 s)"
    )


@pytest.mark.parametrize(
    ("queue", "words"),
    [
        (None, ""),
        (Queued(name="orders"), ", no worker polls orders"),
        (
            Queued(name="orders", polled_at=at(8), polled_by="7@host"),
            ", orders was last polled 55 s ago by 7@host",
        ),
    ],
)
def test_an_activity_that_no_worker_takes_says_since_when(queue: Queued | None, words: str) -> None:
    waiting = PendingActivity(
        activity_id="2", kind="charge_card", attempt=1, due_at=at(23), queue=queue
    )
    evidence = _charging(waiting)

    assert hanging(evidence, evidence.workflows["order-1"]) == (
        f"charge_card at attempt 1, waits for a worker: scheduled 40 s ago{words}"
    )


def test_an_activity_that_a_worker_has_says_since_when_and_what_would_tell_of_its_death() -> None:
    begun = PendingActivity(
        activity_id="2", kind="charge_card", attempt=1, started_at=at(23), worker="7@host"
    )
    evidence = _charging(begun)

    assert hanging(evidence, evidence.workflows["order-1"]) == (
        "charge_card at attempt 1, started 40 s ago by 7@host "
        "(it has no heartbeat timeout; its start-to-close is 45 s)"
    )


@pytest.mark.parametrize(
    ("heartbeat", "words"),
    [
        (0, "it has no heartbeat timeout; its start-to-close is 45 s"),
        (60, "its heartbeat timeout of 60 s is not below its start-to-close of 45 s"),
        (15, ""),
    ],
)
def test_a_policy_is_told_where_only_its_time_limit_tells_of_a_dead_worker(
    heartbeat: float, words: str
) -> None:
    made = Made()
    made.scheduled("charge_card", heartbeat=heartbeat)

    (activity,) = made.workflow().activities

    assert policy_told(activity) == words


def test_a_workflow_with_nothing_pending_waits_for_its_timer_or_for_a_signal() -> None:
    made = Made()
    evidence = evidence_of(made.workflow(IDLE))
    signal = "waits for a signal, an update or a condition: nothing is pending"
    assert hanging(evidence, evidence.workflows["order-1"]) == signal

    timer = made.add("TIMER_STARTED", 3)
    timer.timer_started_event_attributes.start_to_fire_timeout.FromSeconds(300)
    words = "waits for a timer, due at 12:05:03 UTC (in 240 s)"
    assert hanging(evidence, made.workflow(IDLE)) == words

    fired = made.add("TIMER_FIRED", 9)
    fired.timer_fired_event_attributes.started_event_id = timer.event_id
    assert hanging(evidence, made.workflow(IDLE)) == signal


def test_many_of_a_kind_are_counted() -> None:
    many = tuple(CARD.model_copy(update={"activity_id": str(n)}) for n in range(5))
    evidence = evidence_of(Made().workflow(Pending(at=at(63), activities=many)))

    assert hanging(evidence, evidence.workflows["order-1"]).endswith("; and 2 more")


def test_where_nobody_asked_the_server_nothing_is_said_of_it() -> None:
    evidence = evidence_of(Made().workflow())

    problems = workflows_end_as_expected.examine(evidence).problems

    assert problems == ("order-1 is running, not completed",)


def test_a_child_that_is_open_is_named_with_what_it_waits_for() -> None:
    child = Made("mail", "run-c", parent=("order-1", "run-1"))
    child.scheduled("charge_card")
    open_child = PendingChild(workflow_id="mail", run_id="run-c", kind="Mail")
    evidence = evidence_of(
        Made().workflow(Pending(at=at(63), children=(open_child,))),
        child.workflow(Pending(at=at(63), activities=(CARD,))),
    )

    (problem,) = workflows_end_as_expected.examine(evidence).problems

    assert problem.startswith("order-1 is running, not completed: child mail is open: charge_card")


# Workflow tasks


def test_a_failed_workflow_task_is_told_with_its_cause_its_sentence_and_its_attempt() -> None:
    made = Made().task_failed(NONDETERMINISM, refused(SENTENCE))
    task = PendingTask(attempt=7, since=at(3))
    evidence = evidence_of(made.workflow(Pending(at=at(63), task=task)))

    finding = no_workflow_task_fails.examine(evidence)

    said = f"NonDeterministicError: {SENTENCE}"
    assert finding.verdict is Verdict.FAILED
    assert finding.problems == (f"order-1: workflow task failed: {said}; it is at attempt 7",)
    assert hanging(evidence, evidence.workflows["order-1"]) == (
        f"its workflow task is at attempt 7, and has failed since 12:00:03 UTC: {said}"
    )


def test_of_several_failed_workflow_tasks_the_first_is_told_and_all_are_counted() -> None:
    made = Made().task_failed(NONDETERMINISM, refused("one"))
    made.task_failed(999, seconds=4).ended()

    (problem,) = no_workflow_task_fails.examine(evidence_of(made.workflow())).problems

    assert problem == (
        "order-1: workflow task failed: NonDeterministicError: one (2 in all; this is the first)"
    )
    assert str(made.workflow().failed_tasks[1]) == "cause 999"


def test_a_task_that_the_server_itself_puts_back_is_no_fault_of_the_code() -> None:
    made = Made().task_failed(UNHANDLED_COMMAND).ended()

    assert no_workflow_task_fails.examine(evidence_of(made.workflow())).verdict is Verdict.PASSED


def test_a_failed_task_of_a_child_and_of_an_earlier_run_is_one_as_well() -> None:
    first = Made(run_id="run-0").task_failed(NONDETERMINISM, refused("one"))
    first.ended("CONTINUED_AS_NEW")
    child = Made("mail", "run-c", parent=("order-1", "run-1"))
    child.task_failed(NONDETERMINISM, refused("two")).ended()

    evidence = evidence_of(Made().ended().workflow(None, first), child.workflow())

    assert no_workflow_task_fails.examine(evidence).problems == (
        "order-1: workflow task failed: NonDeterministicError: one",
        "mail: workflow task failed: NonDeterministicError: two",
    )


def test_a_task_in_a_sticky_queue_waits_for_the_worker_that_had_the_last_one() -> None:
    made = Made()
    scheduled = made.add("WORKFLOW_TASK_SCHEDULED", 60).workflow_task_scheduled_event_attributes
    scheduled.task_queue.kind = TaskQueueKind.TASK_QUEUE_KIND_STICKY
    pending = Pending(at=at(63), task=PendingTask(attempt=1, since=at(60)))
    evidence = evidence_of(made.workflow(pending))

    assert hanging(evidence, evidence.workflows["order-1"]) == (
        "its workflow task is at attempt 1, waits for the worker that had the last one: "
        "scheduled 3 s ago in its sticky queue"
    )


# Attempts


def test_what_is_not_closed_is_not_called_untried() -> None:
    unknown = evidence_of((made := Made()).workflow())
    made.scheduled("charge_card")

    assert attempts_are_as_expected.examine(unknown).problems == (
        "order-1: charge_card is not closed",
    )
    (problem,) = attempts_are_as_expected.examine(_charging()).problems
    assert problem.startswith("order-1: charge_card is not closed: at attempt 3, last failure ")
    assert problem.endswith(", not 1")


def test_an_open_activity_within_its_range_is_only_not_closed() -> None:
    (problem,) = attempts_are_as_expected.judge(_charging(attempts={"charge_card": (1, 3)}))

    assert isinstance(problem, Late)
    assert problem.endswith("next try at 12:01:43 UTC (in 40 s)")


def test_too_many_attempts_of_a_child_or_of_an_earlier_run_are_the_workflows_own() -> None:
    first = Made(run_id="run-0")
    first.done(first.scheduled("charge_card"), attempt=2).ended("CONTINUED_AS_NEW")
    child = Made("mail", "run-c", parent=("order-1", "run-0"))
    child.done(child.scheduled("send_mail"), attempt=4).ended()
    evidence = evidence_of(Made().ended().workflow(None, first), child.workflow())

    assert attempts_are_as_expected.examine(evidence).problems == (
        "order-1: charge_card took 2 attempt(s), not 1",
        "order-1: send_mail of mail took 4 attempt(s), not 1",
    )


def test_an_activity_that_its_workflow_left_open_says_so_and_may_be_excused() -> None:
    made = Made()
    made.scheduled("charge_card")
    left = made.ended().workflow()

    assert attempts_are_as_expected.examine(evidence_of(left)).problems == (
        "order-1: charge_card was not closed when its workflow ended",
    )
    excused = evidence_of(left, attempts={"charge_card": (0, 1)})
    assert attempts_are_as_expected.examine(excused).verdict is Verdict.PASSED


def test_an_activity_that_timed_out_before_any_worker_took_it_was_never_started() -> None:
    made = Made()
    number = made.scheduled("charge_card")
    out = made.add("ACTIVITY_TASK_TIMED_OUT", 5).activity_task_timed_out_event_attributes
    out.scheduled_event_id = number
    made.ended("FAILED")

    (problem,) = attempts_are_as_expected.examine(evidence_of(made.workflow())).problems

    assert problem == "order-1: charge_card was never started, not 1"


# Children that outlive their parents


def _left_child(made: Made, pending: Pending | None = None) -> Any:
    return evidence_of(Made().ended(seconds=10).workflow(), made.workflow(pending))


def test_a_child_that_outlives_its_parent_is_not_judged() -> None:
    child = Made("mail", "run-c", parent=("order-1", "run-1"))
    child.scheduled("charge_card")
    evidence = _left_child(child, Pending(at=at(63), activities=(CARD,)))

    assert workflows_end_as_expected.examine(evidence).verdict is Verdict.PASSED
    assert attempts_are_as_expected.examine(evidence).verdict is Verdict.PASSED


@pytest.mark.parametrize(("seconds", "is_heard"), [(5, True), (20, False)])
def test_a_child_that_fails_is_a_problem_where_nobody_waits_for_it(
    seconds: float, *, is_heard: bool
) -> None:
    child = Made("mail", "run-c", parent=("order-1", "run-1")).ended("FAILED", seconds)
    failed = child.events[-1].workflow_execution_failed_event_attributes
    failed.failure.CopyFrom(refused("no such address", "BadAddress"))

    problems = [*workflows_end_as_expected.judge(_left_child(child))]

    words = "is failed, and nothing waited for it any more: BadAddress: no such address"
    assert problems == ([] if is_heard else [f"order-1: its child mail {words}"])


def test_a_child_of_somebody_else_is_nobodys_of_this_case() -> None:
    stranger = Made("mail", "run-c", parent=("order-2", "run-9")).ended("FAILED", 20)

    assert workflows_end_as_expected.examine(_left_child(stranger)).verdict is Verdict.PASSED


# Recovery


def _killed(made: Made, timings: Timings | None = None) -> Any:
    """Its worker, four seconds after noon."""
    journal = [
        Entry(at=at(0), event=Event.READY, target="worker-1", pid=7),
        Entry(at=at(4), event=Event.FAULT, kind="kill", target="worker-1", pid=7),
        Entry(at=at(4), event=Event.EXITED, target="worker-1", pid=7, exit_code=-9),
        Entry(at=at(5), event=Event.READY, target="worker-2", pid=8),
    ]
    evidence = evidence_of(made.workflow())
    return replace(evidence, journal=journal, timings=timings or Timings())


@pytest.mark.parametrize(
    ("heartbeat", "words"),
    [(0, " (charge_card: it has no heartbeat timeout; its start-to-close is 45 s)"), (2, "")],
)
def test_a_late_recovery_says_where_only_the_time_limit_told_of_the_dead_worker(
    heartbeat: float, words: str
) -> None:
    limit = TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
    kind = TimeoutType.TIMEOUT_TYPE_HEARTBEAT if heartbeat else limit
    made = Made()
    number = made.scheduled("charge_card", heartbeat=heartbeat)
    made.done(number, attempt=2, seconds=46).ended(seconds=47)
    started = made.events[-3].activity_task_started_event_attributes
    started.last_failure.timeout_failure_info.timeout_type = kind

    evidence = _killed(made, Timings(recovery_seconds=25))

    assert recovers_within_its_bound.examine(evidence).problems == (
        f"after the fault kill at worker-1 work resumed after 42.0 s, not within 25.0 s{words}",
    )


def test_a_recovery_that_was_not_seen_says_so_too() -> None:
    made = Made()
    made.scheduled("charge_card")

    (problem,) = recovers_within_its_bound.judge(_killed(made))

    assert isinstance(problem, Unmeasured)
    limit = "its start-to-close is 45 s"
    assert problem.endswith(f"not measured (charge_card: it has no heartbeat timeout; {limit})")


# Workflows that should still run


def test_one_that_should_still_run_and_waits_for_something_holds() -> None:
    charging = _charging(attempts={"charge_card": (1, 3)}, status=Status.RUNNING)

    for evidence in (_running(IDLE), charging):
        for check in (workflows_end_as_expected, attempts_are_as_expected):
            assert check.examine(evidence).verdict is Verdict.PASSED


def test_one_that_should_still_run_and_has_ended_fails() -> None:
    evidence = _running(None, Made().ended())

    assert workflows_end_as_expected.examine(evidence).problems == (
        "order-1 is completed, not running",
    )


def test_one_that_should_still_run_is_stuck_where_its_task_fails() -> None:
    made = Made().task_failed(NONDETERMINISM, refused(SENTENCE))
    pending = Pending(at=at(4), task=PendingTask(attempt=1, since=at(3)))

    (problem,) = workflows_end_as_expected.judge(_running(pending, made))

    assert not isinstance(problem, Late)
    assert problem.startswith("order-1 is running, but stuck: its workflow task is at attempt 1")


@pytest.mark.parametrize(("seconds", "is_stuck"), [(5, False), (40, True)])
def test_one_that_should_still_run_is_stuck_where_nobody_takes_its_task(
    seconds: float, *, is_stuck: bool
) -> None:
    task = PendingTask(attempt=1, since=at(63 - seconds), queue=Queued(name="orders"))

    problems = [*workflows_end_as_expected.judge(_running(Pending(at=at(63), task=task)))]

    assert [isinstance(problem, Late) for problem in problems] == [True] * is_stuck
    assert all(problem.endswith("40 s ago, no worker polls orders") for problem in problems)


def test_of_one_that_should_still_run_nothing_is_shown_where_nobody_asked_the_server() -> None:
    (problem,) = workflows_end_as_expected.judge(_running(None))

    assert isinstance(problem, Unmeasured)
    assert workflows_end_as_expected.examine(_running(None)).verdict is Verdict.UNKNOWN


def test_of_its_open_activity_nothing_is_shown_either() -> None:
    made = Made()
    made.scheduled("charge_card")

    (problem,) = attempts_are_as_expected.judge(_running(None, made))

    assert isinstance(problem, Unmeasured)


def test_a_task_that_was_done_after_one_that_failed_is_not_failing() -> None:
    made = Made().task_failed(NONDETERMINISM, refused(SENTENCE))
    made.add("WORKFLOW_TASK_COMPLETED", 5)

    assert made.workflow().failing is None
    assert made.workflow().task_failures == 1


def _dead(seconds: float, *, identity: str = "7@host", pending_at: float = 63) -> Evidence:
    """A worker that was killed, and an attempt that somebody began at second 23, with 45 s."""
    begun = PendingActivity(
        activity_id="2", kind="charge_card", attempt=1, started_at=at(23), worker=identity
    )
    made = Made()
    made.scheduled("charge_card")
    told = evidence_of(made.workflow(Pending(at=at(pending_at), activities=(begun,))))
    same: dict[str, Any] = {"target": "worker-1", "pid": 7}
    journal = (
        Entry(at=at(0), event=Event.READY, **same),
        Entry(at=at(0), event=Event.READY, target="worker-2", pid=8),
        Entry(at=at(seconds), event=Event.FAULT, kind="kill", **same),
        Entry(at=at(seconds), event=Event.SIGNALED, signal="SIGKILL", **same),
        Entry(at=at(seconds + 0.1), event=Event.EXITED, exit_code=-9, **same),
    )
    return replace(told, journal=journal)


def test_a_workflow_whose_lost_attempt_nobody_can_know_of_yet_was_not_measured() -> None:
    finding = workflows_end_as_expected.examine(_dead(30))

    assert finding.verdict is Verdict.UNKNOWN
    assert finding.problems[0].endswith(
        "the attempt of charge_card died with its worker, which its timeout of 45 s shows only 5 s "
        "later"
    )


@pytest.mark.parametrize(
    "evidence",
    [
        pytest.param(_dead(20), id="it died before"),
        pytest.param(_dead(30, identity="8@host"), id="another had it"),
        pytest.param(_dead(30, identity="9@host"), id="nobody knows who had it"),
        pytest.param(_dead(30, pending_at=69), id="the server knows by now"),
    ],
)
def test_any_other_workflow_that_does_not_end_fails(evidence: Evidence) -> None:
    assert workflows_end_as_expected.examine(evidence).verdict is Verdict.FAILED

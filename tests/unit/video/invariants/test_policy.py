from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from temporalio.api.enums.v1 import EventType, TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import History, HistoryEvent

from chaos.invariants.verdict import Verdict
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.invariants.policy import attempts_within_policy
from workflows.models import UNDECIDED, WORKER_LOST
from workflows.policies import MAX_WORKER_LOSSES

Change = Callable[[VideoEvidence, str, Callable[[History], None]], VideoEvidence]
SCHEDULED = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
STARTED = EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED


def _events(history: History, kind: EventType.ValueType) -> list[HistoryEvent]:
    return [event for event in history.events if event.event_type == kind]


def _failure(kind: str, *, permanent: bool = False) -> Failure:
    failure = Failure(message="planned")
    failure.application_failure_info.type = kind
    failure.application_failure_info.non_retryable = permanent
    return failure


def _silence() -> Failure:
    failure = Failure()
    failure.timeout_failure_info.timeout_type = TimeoutType.TIMEOUT_TYPE_HEARTBEAT
    return failure


def _tried_before(history: History, failure: Failure, times: int) -> None:
    """The last step is scheduled so often before, and each time ends with that failure."""
    last = _events(history, SCHEDULED)[-1]
    at = list(history.events).index(last)
    for number in range(times):
        scheduled, ended = HistoryEvent(), HistoryEvent()
        scheduled.CopyFrom(last)
        scheduled.event_id = 10_000 + number
        ended.event_type = EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED
        ended.activity_task_failed_event_attributes.failure.CopyFrom(failure)
        ended.activity_task_failed_event_attributes.scheduled_event_id = scheduled.event_id
        history.events.insert(at, ended)
        history.events.insert(at, scheduled)


@pytest.mark.parametrize(
    "name",
    ["worker_crash", "retry_config", "server_restart", "each_role", "checkpoint", "concurrency"],
)
def test_real_evidence_holds(name: str, request: pytest.FixtureRequest) -> None:
    assert attempts_within_policy.examine(request.getfixturevalue(name)).problems == ()


def test_an_attempt_above_the_recorded_maximum_fails(
    checkpoint: VideoEvidence, with_history: Change
) -> None:
    def fourth(history: History) -> None:
        _events(history, STARTED)[-1].activity_task_started_event_attributes.attempt = 4

    finding = attempts_within_policy.examine(with_history(checkpoint, "checkpoint-series", fourth))

    assert finding.verdict is Verdict.FAILED
    assert finding.problems == ("checkpoint-series: download_video took attempt 4 of 3",)


def test_a_policy_without_an_end_fails(checkpoint: VideoEvidence, with_history: Change) -> None:
    def endless(history: History) -> None:
        scheduled = _events(history, SCHEDULED)[0].activity_task_scheduled_event_attributes
        scheduled.retry_policy.maximum_attempts = 0

    broken = with_history(checkpoint, "checkpoint-series", endless)

    assert attempts_within_policy.examine(broken).problems


def test_an_attempt_after_a_permanent_failure_fails(
    checkpoint: VideoEvidence, with_history: Change
) -> None:
    def tried_again(history: History) -> None:
        started = _events(history, STARTED)[-1].activity_task_started_event_attributes
        started.attempt = 2
        started.last_failure.CopyFrom(_failure("Refused", permanent=True))

    broken = with_history(checkpoint, "checkpoint-series", tried_again)

    assert "attempt 2 after a permanent" in attempts_within_policy.examine(broken).problems[0]


@pytest.mark.parametrize(
    "failure", [_failure("Refused", permanent=True), _failure("ApplicationFailure")]
)
def test_a_step_scheduled_anew_after_a_permanent_failure_fails(
    failure: Failure, checkpoint: VideoEvidence, with_history: Change
) -> None:
    broken = with_history(
        checkpoint, "checkpoint-series", lambda history: _tried_before(history, failure, 1)
    )

    assert "scheduled again after a perm" in attempts_within_policy.examine(broken).problems[0]


def test_an_open_call_that_was_settled_is_asked_for_again(
    checkpoint: VideoEvidence, with_history: Change
) -> None:
    failure = _failure(UNDECIDED, permanent=True)
    settled = with_history(
        checkpoint, "checkpoint-series", lambda history: _tried_before(history, failure, 1)
    )

    assert attempts_within_policy.examine(settled).problems == ()


@pytest.mark.parametrize("failure", [_silence(), _failure(WORKER_LOST)], ids=["silent", "seen"])
def test_lost_workers_cost_so_many_schedulings_and_no_more(
    failure: Failure, checkpoint: VideoEvidence, with_history: Change
) -> None:
    def problems(times: int) -> Sequence[str]:
        lost = with_history(
            checkpoint, "checkpoint-series", lambda history: _tried_before(history, failure, times)
        )
        return attempts_within_policy.examine(lost).problems

    assert problems(MAX_WORKER_LOSSES) == ()
    assert "scheduled again 6 times" in problems(MAX_WORKER_LOSSES + 1)[0]


def test_a_step_that_an_outage_postponed_may_be_scheduled_anew(
    checkpoint: VideoEvidence, with_history: Change
) -> None:
    def postponed(history: History) -> None:
        _tried_before(history, _failure("QuotaUsedUp", permanent=True), times=2)

    waited = with_history(checkpoint, "checkpoint-series", postponed)

    assert attempts_within_policy.examine(waited).problems == ()

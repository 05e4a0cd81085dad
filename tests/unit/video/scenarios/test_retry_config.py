from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import ActivityTaskScheduledEventAttributes, History

from chaos.invariants import Invariant
from chaos.invariants.verdict import Verdict
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.scenarios.retry_config import ALL_KINDS, SCENARIO, policy_is_as_required
from tests.unit.video.edits import later, only, records, with_records

Change = Callable[[VideoEvidence, str, Callable[[History], None]], VideoEvidence]
CHECKS = {check.name: check for check in SCENARIO.cases[0].invariants}
POLICY = policy_is_as_required(*ALL_KINDS)
SPACED = [check for name, check in CHECKS.items() if name.startswith("retries_are_spaced")]
OUTLASTS = CHECKS["outlasts_its_outage[retry-outlasts]"]
AT_ONCE = CHECKS["fails_at_once[retry-refused]"]


def test_real_evidence_holds(retry_config: VideoEvidence) -> None:
    checks = (POLICY, *SPACED, AT_ONCE)
    assert len(checks) == 4
    for check in checks:
        assert check.examine(retry_config).problems == ()


@pytest.mark.parametrize(
    "edit",
    [
        lambda scheduled: scheduled.retry_policy.initial_interval.FromSeconds(9),
        lambda scheduled: setattr(scheduled.retry_policy, "maximum_attempts", 4),
        lambda scheduled: setattr(scheduled.retry_policy, "backoff_coefficient", 1.5),
        lambda scheduled: scheduled.retry_policy.ClearField("non_retryable_error_types"),
        lambda scheduled: scheduled.start_to_close_timeout.FromSeconds(60),
        lambda scheduled: scheduled.schedule_to_close_timeout.FromSeconds(60),
        lambda scheduled: scheduled.heartbeat_timeout.FromSeconds(0),
    ],
    ids=["interval", "attempts", "coefficient", "types", "start", "schedule", "heartbeat"],
)
def test_any_other_policy_fails(
    retry_config: VideoEvidence,
    with_history: Change,
    edit: Callable[[ActivityTaskScheduledEventAttributes], None],
) -> None:
    def edit_last(history: History) -> None:
        kind = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
        edit(
            [e for e in history.events if e.event_type == kind][
                -1
            ].activity_task_scheduled_event_attributes
        )

    broken = with_history(retry_config, "retry-recovers", edit_last)

    assert POLICY.examine(broken).verdict is Verdict.FAILED


def test_a_policy_that_was_never_seen_is_no_pass(retry_config: VideoEvidence) -> None:
    assert POLICY.examine(replace(retry_config, workflows={})).problems


@pytest.mark.parametrize("check", SPACED, ids=lambda check: check.name)
def test_a_retry_that_comes_too_soon_fails(check: Invariant, retry_config: VideoEvidence) -> None:
    requests = [r for r in retry_config.received if r.call in {Call.IMAGE, Call.VIDEO_START}]
    for request in requests:
        sooner = later(timedelta(seconds=-3))
        broken = records(retry_config, only(request), at=sooner)
        if check.examine(broken).verdict is Verdict.FAILED:
            return
    pytest.fail("no shifted request was noticed")


def test_a_fourth_request_fails(retry_config: VideoEvidence) -> None:
    images = [r for r in retry_config.received if r.call is Call.IMAGE]
    prompt = "a portrait of the hero of retry-recovers"
    last = [r for r in images if r.prompt == prompt][-1]

    broken = with_records(retry_config, last)

    assert CHECKS["retries_are_spaced[retry-recovers]"].examine(broken).problems


def test_a_retry_of_a_permanent_error_fails(retry_config: VideoEvidence) -> None:
    refused = next(r for r in retry_config.received if not r.key_valid)

    assert AT_ONCE.examine(with_records(retry_config, refused)).verdict is Verdict.FAILED


def test_an_outage_that_was_outlasted_holds(retry_config: VideoEvidence) -> None:
    assert OUTLASTS.examine(retry_config).problems == ()


def test_an_activity_that_was_not_tried_anew_fails(
    retry_config: VideoEvidence, with_history: Change
) -> None:
    def once(history: History) -> None:
        kind = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
        for event in history.events:
            scheduled = event.activity_task_scheduled_event_attributes
            if event.event_type == kind and scheduled.activity_type.name == "start_video":
                scheduled.retry_policy.maximum_attempts = 9  # so they were not used up

    broken = with_history(retry_config, "retry-outlasts", once)

    assert OUTLASTS.examine(broken).problems == (
        "retry-outlasts: start_video was not tried again after all its attempts had failed",
    )


def test_an_activity_that_was_tried_anew_without_a_wait_fails(
    retry_config: VideoEvidence, with_history: Change
) -> None:
    def sooner(history: History) -> None:
        kind = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
        last = [
            event
            for event in history.events
            if event.event_type == kind
            and event.activity_task_scheduled_event_attributes.activity_type.name == "start_video"
        ][-1]
        last.event_time.FromDatetime(last.event_time.ToDatetime() - timedelta(seconds=5))

    broken = with_history(retry_config, "retry-outlasts", sooner)

    (problem,) = OUTLASTS.examine(broken).problems
    assert problem.startswith("retry-outlasts: start_video was tried again after 2")


@pytest.mark.parametrize(("seconds", "holds"), [(29.9, False), (30.05, True), (33.9, True)])
def test_a_workflows_own_wait_may_last_from_its_least_to_a_tenth_more(
    retry_config: VideoEvidence, seconds: float, *, holds: bool
) -> None:
    check = CHECKS["retries_are_spaced[retry-outlasts]"]
    prompt = "the hero of retry-outlasts, scene 2."
    *_, third, fourth = [
        r for r in retry_config.received if r.call is Call.VIDEO_START and r.prompt == prompt
    ]

    moved = records(retry_config, only(fourth), at=third.at + timedelta(seconds=seconds))

    assert (check.examine(moved).problems == ()) is holds

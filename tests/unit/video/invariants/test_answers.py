from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.client import WorkflowHistory

from chaos.evidence.history import Workflow
from chaos.invariants import Invariant
from chaos.invariants.verdict import Verdict
from tests.chaos.video import specs
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Answered, Billed, Call, Outcome, Received
from tests.chaos.video.invariants.answers import api_answered
from tests.chaos.video.scenarios.api_errors_checks import (
    bought_again_by_decision,
    key_stays_at_its_host,
    undelivered_costs_nothing,
)
from tests.chaos.video.scenarios.api_slow_checks import (
    api_was_slow,
    client_gave_up,
    given_up_at_its_deadline,
    retries_wait,
)
from tests.chaos.video.specs import VideoSpec
from tests.unit.video.edits import (
    MINUTE,
    changed,
    later,
    of,
    only,
    records,
    with_records,
    without_records,
)

RECOVERS = specs.single("retry-recovers")
ONE = specs.single("load-001")
DEADLINE_SECONDS = 4.0
GIVEN_UP = given_up_at_its_deadline(ONE, DEADLINE_SECONDS)


def request(evidence: VideoEvidence, spec: VideoSpec, call: Call) -> Received:
    """A workflow's first request of that call."""
    bills = [bill for bill in evidence.billed if bill.prompt in spec.prompts]
    known = {*spec.prompts, *(b.operation for b in bills), *(b.file for b in bills)} - {None}
    return next(
        r for r in evidence.received if r.call is call and {r.prompt, r.operation, r.file} & known
    )


def answered(
    evidence: VideoEvidence, spec: VideoSpec, call: Call, **update: object
) -> VideoEvidence:
    """The evidence with the answer to a workflow's first request of that call changed."""
    request_id = request(evidence, spec, call).request_id
    return records(evidence, of(Answered, request_id=request_id), **update)


def late(evidence: VideoEvidence, spec: VideoSpec, call: Call, seconds: float) -> VideoEvidence:
    """The evidence with that answer so long after its request."""
    at = request(evidence, spec, call).at + timedelta(seconds=seconds)
    return answered(evidence, spec, call, at=at)


def test_a_planned_answer_is_proven_by_its_kind_number_and_bill(
    retry_config: VideoEvidence,
) -> None:
    def verdict(kind: str, **options: object) -> Verdict:
        return api_answered(RECOVERS, Call.IMAGE, kind, **options).examine(retry_config).verdict  # type: ignore[arg-type]

    assert verdict("status 503", times=2, billed=False) is Verdict.PASSED
    assert verdict("ok", billed=True) is Verdict.PASSED
    assert verdict("status 503") is Verdict.UNKNOWN
    assert verdict("status 500") is Verdict.UNKNOWN
    assert verdict("status 503", times=2, billed=True) is Verdict.UNKNOWN
    assert verdict("ok", billed=False) is Verdict.UNKNOWN


@pytest.mark.parametrize("call", [Call.POLL, Call.DOWNLOAD])
def test_polls_and_downloads_are_known_by_what_they_ask_for(
    retry_config: VideoEvidence, call: Call
) -> None:
    spoiled = answered(retry_config, RECOVERS, call, kind="html")
    other = specs.single("another")
    assert api_answered(RECOVERS, call, "html").examine(spoiled).verdict is Verdict.PASSED
    assert api_answered(other, call, "html").examine(spoiled).verdict is Verdict.UNKNOWN


def test_a_slow_answer_is_proven_by_its_time(concurrency: VideoEvidence) -> None:
    check = api_was_slow(ONE, Call.IMAGE, 8.0)
    slow = late(concurrency, ONE, Call.IMAGE, 8.0)
    assert check.examine(slow).verdict is Verdict.PASSED
    assert check.examine(concurrency).verdict is Verdict.UNKNOWN
    assert check.examine(late(concurrency, ONE, Call.IMAGE, 7.9)).verdict is Verdict.UNKNOWN
    nobody = answered(slow, ONE, Call.IMAGE, client_connected=False)
    assert check.examine(nobody).verdict is Verdict.UNKNOWN


def test_a_hang_is_proven_by_the_time_at_which_its_sender_leaves(
    concurrency: VideoEvidence,
) -> None:
    check = client_gave_up(ONE, Call.IMAGE, 10.0)

    def left_after(seconds: float) -> VideoEvidence:
        left = answered(concurrency, ONE, Call.IMAGE, client_connected=False)
        return late(left, ONE, Call.IMAGE, seconds)

    assert check.examine(left_after(10.4)).verdict is Verdict.PASSED
    assert check.examine(left_after(5)).verdict is Verdict.UNKNOWN
    assert check.examine(left_after(30)).verdict is Verdict.UNKNOWN
    assert check.examine(late(concurrency, ONE, Call.IMAGE, 10)).verdict is Verdict.UNKNOWN


def test_a_retry_comes_after_its_wait(retry_config: VideoEvidence) -> None:
    wait = retries_wait(RECOVERS, {Call.IMAGE: 15.0})  # one comes after 10 s, one after 20 s
    assert len(wait.examine(retry_config).problems) == 1
    assert "again after 10" in wait.examine(retry_config).problems[0]


def test_a_retry_that_comes_too_late_fails(retry_config: VideoEvidence) -> None:
    (problem,) = retries_wait(RECOVERS, {Call.IMAGE: 10.0}).examine(retry_config).problems
    assert "again after 20" in problem


def test_where_nothing_was_sent_again_no_wait_is_shown(concurrency: VideoEvidence) -> None:
    finding = retries_wait(ONE, {Call.IMAGE: 10.0}).examine(concurrency)
    assert finding.problems == ("load-001: no image call was sent again",)


# A video that was given up at its deadline

AWAITED = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED


def given_up(
    evidence: VideoEvidence,
    *,
    after_seconds: float = DEADLINE_SECONDS,
    message: str = "(VIDEO_DEADLINE_SECONDS) {name} under the same id, without paying again",
    status: EventType.ValueType = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
) -> VideoEvidence:
    """The evidence with a run before that of ONE, which awaited its video for so long."""
    workflow = evidence.workflows[ONE.workflow_id]
    kept = History()
    kept.events.extend(workflow.runs[-1].events)
    scheduled = next(
        event
        for event in kept.events
        if event.activity_task_scheduled_event_attributes.activity_type.name == "await_video"
    )
    closed = next(
        event
        for event in kept.events
        if event.activity_task_completed_event_attributes.scheduled_event_id == scheduled.event_id
    )
    moved = scheduled.event_time.ToDatetime() + timedelta(seconds=after_seconds)
    closed.event_time.FromDatetime(moved)
    (name,) = [b.operation for b in evidence.billed if b.prompt == ONE.video_prompts[0]]
    end = HistoryEvent(event_id=999, event_type=status, event_time=closed.event_time)
    failure = end.workflow_execution_failed_event_attributes.failure
    failure.message = message.format(name=name)
    events = [*(event for event in kept.events if event.event_id <= closed.event_id), end]
    first = WorkflowHistory(ONE.workflow_id, events)
    runs = (first, *workflow.runs)
    changed_workflow = Workflow(ONE.workflow_id, runs)
    return replace(evidence, workflows={**evidence.workflows, ONE.workflow_id: changed_workflow})


def begun_again(evidence: VideoEvidence) -> VideoEvidence:
    """The evidence with the video's start sent twice."""
    first = request(evidence, ONE, Call.VIDEO_START)
    again = first.model_copy(update={"request_id": "again"})
    answer = evidence.answers[first.request_id].model_copy(update={"request_id": "again"})
    return with_records(evidence, again, answer)


def test_a_video_that_was_given_up_and_then_fetched_holds(concurrency: VideoEvidence) -> None:
    assert GIVEN_UP.examine(given_up(concurrency)).problems == ()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda e: e,  # it was never given up
        lambda e: given_up(e, after_seconds=30),
        lambda e: given_up(e, after_seconds=0.5),
        lambda e: given_up(e, message="VIDEO_DEADLINE_SECONDS {name} under the same id"),
        lambda e: given_up(
            e, message="VIDEO_DEADLINE_SECONDS under the same id, without paying again"
        ),
        lambda e: given_up(e, status=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT),
        lambda e: begun_again(given_up(e)),
    ],
    ids=["no", "late", "early", "no advice", "no name", "timed out", "begun again"],
)
def test_anything_else_fails(
    concurrency: VideoEvidence, spoil: Callable[[VideoEvidence], VideoEvidence]
) -> None:
    finding = GIVEN_UP.examine(spoil(concurrency))
    assert finding.verdict is Verdict.FAILED, finding


# A video that was not delivered


def undelivered(evidence: VideoEvidence, amount_usd: str = "0") -> VideoEvidence:
    """The evidence with a bill for a video that was begun before the one that was delivered."""
    paid = next(b for b in evidence.billed if b.prompt == ONE.video_prompts[0])
    other = {"sha256": None, "file": None, "outcome": Outcome.FAILED, "operation": "models/m/o/1"}
    amount = {"amount_usd": Decimal(amount_usd), "request_id": "before"}
    return with_records(evidence, paid.model_copy(update=other | amount))


def test_a_video_that_was_not_delivered_costs_nothing(concurrency: VideoEvidence) -> None:
    check: Invariant = undelivered_costs_nothing(ONE)
    assert check.examine(undelivered(concurrency)).verdict is Verdict.PASSED
    assert check.examine(undelivered(concurrency, "1.20")).verdict is Verdict.FAILED
    assert check.examine(concurrency).verdict is Verdict.FAILED
    unpaid = without_records(
        undelivered(concurrency), lambda r: isinstance(r, Billed) and r.amount_usd > 0
    )
    assert check.examine(unpaid).verdict is Verdict.FAILED


# A redirect to another host


def redirected(evidence: VideoEvidence, **update: object) -> VideoEvidence:
    """The evidence with the first download of a workflow as one that a redirect led elsewhere."""
    ours = request(evidence, RECOVERS, Call.DOWNLOAD)
    elsewhere = {"redirected": True, "key_valid": False, **update}
    return records(evidence, only(ours), **elsewhere)


def test_a_redirected_request_without_the_key_holds(retry_config: VideoEvidence) -> None:
    check = key_stays_at_its_host(RECOVERS)
    assert check.examine(redirected(retry_config)).problems == ()


def test_a_key_that_went_along_fails(retry_config: VideoEvidence) -> None:
    check = key_stays_at_its_host(RECOVERS)
    problem = "retry-recovers: the key was sent to another host, with a download"
    assert check.examine(redirected(retry_config, key_valid=True)).problems == (problem,)
    given = answered(redirected(retry_config), RECOVERS, Call.DOWNLOAD, kind="key_given_away")
    assert check.examine(given).problems == (problem,)


def test_without_a_redirect_nothing_was_seen(retry_config: VideoEvidence) -> None:
    problems = key_stays_at_its_host(RECOVERS).examine(retry_config).problems
    assert problems == ("retry-recovers: no request went to another host",)


def test_some_answers_of_a_kind_are_enough_where_their_number_is_not_said(
    retry_config: VideoEvidence,
) -> None:
    some = api_answered(RECOVERS, Call.IMAGE, "status 503", times=None)
    assert some.examine(retry_config).problems == ()
    none = api_answered(RECOVERS, Call.DOWNLOAD, "status 503", times=None)
    assert none.examine(retry_config).verdict is Verdict.UNKNOWN


# What is bought again


def bought_again(evidence: VideoEvidence) -> VideoEvidence:
    """The evidence with one more bill for a workflow's video, a minute after the first."""
    bill = next(b for b in evidence.billed if b.prompt == RECOVERS.video_prompts[0])
    return with_records(evidence, changed(bill, at=later(MINUTE)))


def with_decision(evidence: VideoEvidence, later: timedelta) -> VideoEvidence:
    """The evidence with a decision so much after the workflow's start."""
    workflow = evidence.workflows[RECOVERS.workflow_id]
    (run,) = workflow.runs
    signal = HistoryEvent()
    signal.workflow_execution_signaled_event_attributes.signal_name = "decide"
    signal.event_time.FromDatetime(workflow.started_at + later)
    decided = WorkflowHistory(run.workflow_id, [*run.events, signal])
    runs = {**evidence.workflows, workflow.workflow_id: Workflow(workflow.workflow_id, (decided,))}
    return replace(evidence, workflows=runs)


def test_what_is_bought_again_after_a_decision_holds(retry_config: VideoEvidence) -> None:
    check = bought_again_by_decision(RECOVERS)
    decided = with_decision(bought_again(retry_config), timedelta(seconds=50))
    assert check.examine(decided).problems == ()
    assert check.examine(retry_config).problems == ()


def test_what_is_bought_again_without_a_decision_or_before_it_fails(
    retry_config: VideoEvidence,
) -> None:
    check = bought_again_by_decision(RECOVERS)
    problem = f"{RECOVERS.video_prompts[0]!r} was bought again, and nobody had decided it"
    assert check.examine(bought_again(retry_config)).problems == (problem,)
    late = with_decision(bought_again(retry_config), timedelta(minutes=9))
    assert check.examine(late).problems == (problem,)

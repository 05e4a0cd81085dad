"""How an operation is shown, and the sentences for what somebody should know of it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import (
    HistoryEvent,
    WorkflowExecutionFailedEventAttributes,
    WorkflowExecutionTerminatedEventAttributes,
    WorkflowExecutionTimedOutEventAttributes,
)
from temporalio.api.workflow.v1 import PendingActivityInfo

from workflows.models import (
    Artifact,
    Checkpoint,
    Item,
    OpenCall,
    Progress,
    SeriesVideoInput,
    SingleVideoInput,
    Stage,
    Waiting,
)
from workflows.service import operations, temporal, views
from workflows.service.schemas import ProgressView
from workflows.service.views import Told

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ARTIFACT = Artifact(path="fox/character.png", sha256="0" * 64, size_bytes=7)


def a_call(settle_at: datetime | None) -> OpenCall:
    return OpenCall(
        step="video-001",
        item=Item.VIDEO,
        cost_usd=Decimal("1.20"),
        sent_at=AT,
        settle_at=settle_at,
        ambiguous=1,
        reason="the connection broke.",
    )


def alerts(progress: Progress | None = None, end: str | None = None) -> list[str]:
    return list(views._alerts((), Told(progress=progress, end=end)))


def an_activity(attempt: int, failure: str | None = None) -> PendingActivityInfo:
    info = PendingActivityInfo(attempt=attempt, maximum_attempts=3)
    info.activity_type.name = "start_video"
    if failure:
        info.last_failure.message = failure
        info.next_attempt_schedule_time.FromDatetime(AT)
    return info


def test_a_first_attempt_is_no_alert() -> None:
    (attempt,) = views._attempts([an_activity(1)])
    assert (attempt.attempt, attempt.last_failure, attempt.next_attempt_at) == (1, None, None)
    assert list(views._alerts([attempt], Told())) == []


def test_a_second_attempt_is_an_alert() -> None:
    attempts = list(views._attempts([an_activity(2, "it broke.")]))
    assert list(views._alerts(attempts, Told())) == [
        (
            "start_video is at attempt 2 of 3; the last one failed: it broke; "
            "the next starts at 03:04:05 UTC."
        )
    ]


def test_trouble_within_a_first_attempt_is_an_alert() -> None:
    activity = an_activity(1)
    activity.heartbeat_details.payloads.add().data = b'"the poll call failed (HTTP 503): No."'
    attempts = list(views._attempts([activity]))
    assert list(views._alerts(attempts, Told())) == [
        ("start_video continues, but its last poll failed: the poll call failed (HTTP 503): No.")
    ]


@pytest.mark.parametrize("data", [b"", b"\xff", b"7", b'{"of": "another kind"}'])
def test_heartbeats_that_are_no_text_tell_nothing(data: bytes) -> None:
    activity = an_activity(1)
    activity.heartbeat_details.payloads.add().data = data
    (attempt,) = views._attempts([activity])
    assert attempt.trouble is None


def test_a_long_failure_is_cut() -> None:
    (attempt,) = views._attempts([an_activity(2, "x" * 5_000)])
    assert attempt.last_failure == "x" * 500


def test_a_wait_for_an_outage_is_an_alert() -> None:
    waiting = Waiting(until=AT, reason="the API did not take the image call (HTTP 503): No.")
    assert alerts(Progress(operation_id="fox", waiting=waiting)) == [
        (
            "It tries again by itself on 2026-01-02 at 03:04:05 UTC: "
            "the API did not take the image call (HTTP 503): No."
        )
    ]


def test_a_video_out_of_reach_is_an_alert() -> None:
    name = "models/m/operations/1"
    lost = {"lost": 1, "ambiguous": 0, "reason": "it expired.", "provider_operation": name}
    call = a_call(None).model_copy(update=lost)
    assert alerts(Progress(operation_id="fox", undecided=call)) == [
        (
            "The video of video-001 ($1.20) may be paid for and can no longer be fetched: it "
            "expired. Decide: resend (buy it again), made (look again for models/m/operations/1) "
            "or give_up."
        )
    ]


def test_a_call_after_a_lost_video_is_told_as_what_it_is() -> None:
    asks, settles = (a_call(at).model_copy(update={"lost": 1}) for at in (None, AT))
    assert alerts(Progress(operation_id="fox", undecided=asks)) == [
        (
            "The video call of video-001 ($1.20) may have been billed without a reply: "
            "the connection broke. Decide: made, resend or give_up."
        )
    ]
    (alert,) = alerts(Progress(operation_id="fox", undecided=settles))
    assert alert.endswith("Its reply may still come until 03:04:05 UTC.")


def test_a_hint_is_an_alert() -> None:
    assert alerts(Progress(operation_id="fox", hint="there is nothing to decide now.")) == [
        "The last decision was not accepted: there is nothing to decide now."
    ]


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (
            HistoryEvent(
                workflow_execution_failed_event_attributes=WorkflowExecutionFailedEventAttributes(
                    failure=Failure(message="no money.")
                )
            ),
            "It failed: no money. Fix the cause, then restart it.",
        ),
        (
            HistoryEvent(
                workflow_execution_terminated_event_attributes=(
                    WorkflowExecutionTerminatedEventAttributes(reason="by hand.")
                )
            ),
            "It was terminated (by hand). Restart it to continue with what was made.",
        ),
        (
            HistoryEvent(
                workflow_execution_timed_out_event_attributes=(
                    WorkflowExecutionTimedOutEventAttributes()
                )
            ),
            "It timed out. Restart it to continue with what was made.",
        ),
        (HistoryEvent(), None),
    ],
)
def test_a_bad_end_is_a_sentence(event: HistoryEvent, said: str | None) -> None:
    assert temporal.bad_end(event) == said
    assert alerts(end=said) == ([said] if said else [])


def test_a_progress_is_shown_whole_with_its_artifacts_and_exact_money() -> None:
    points = (
        Checkpoint(name="started", at=AT, cost_usd=Decimal(0)),
        Checkpoint(name="character_generated", at=AT, cost_usd=Decimal("0.039"), artifact=ARTIFACT),
    )
    progress = Progress(
        operation_id="fox",
        stage=Stage.UNDECIDED,
        progress_percent=25,
        video=1,
        checkpoints=points,
        cost_usd=Decimal("0.039"),
        undecided=a_call(None),
    )
    shown = ProgressView.of(progress).model_dump(mode="json", by_alias=True)
    assert shown["artifacts"] == ["fox/character.png"]
    assert (shown["costUsd"], shown["possibleWasteUsd"]) == ("0.039", "0")
    assert shown["checkpoints"][1]["artifact"]["sizeBytes"] == 7
    assert shown["undecided"]["settleAt"] is None
    assert (shown["stage"], shown["progressPercent"]) == ("undecided", 25)


# Requests are told apart


def test_the_same_request_has_the_same_fingerprint_and_no_other_has() -> None:
    single = SingleVideoInput(character_prompt="a", video_prompt="b")
    series = SeriesVideoInput(character_prompt="a", video_prompts=("b",))
    others: list[SingleVideoInput | SeriesVideoInput] = [
        single.model_copy(update={"video_prompt": "c"}),
        series,
        series.model_copy(update={"video_prompts": ("b", "b")}),
        series.model_copy(update={"video_prompts": ("bb",)}),
    ]
    prints = {operations.fingerprint(given) for given in (single, *others)}
    assert len(prints) == 5
    again = SingleVideoInput(character_prompt="a", video_prompt="b")
    assert operations.fingerprint(again) == operations.fingerprint(single)


def test_a_series_that_continued_has_the_fingerprint_of_its_request() -> None:
    series = SeriesVideoInput(character_prompt="a", video_prompts=("b",))
    continued = series.model_copy(update={"progress": Progress(operation_id="fox")})
    assert operations.fingerprint(continued) == operations.fingerprint(series)

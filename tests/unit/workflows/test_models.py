"""What crosses a process boundary comes out as it went in."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pydantic import ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter

from workflows.models import (
    Artifact,
    Character,
    CharacterOrder,
    Checkpoint,
    Choice,
    Decision,
    Item,
    OpenCall,
    OperationOrder,
    Progress,
    Record,
    SeriesVideoInput,
    SingleVideoInput,
    Stage,
    StartedVideo,
    VideoDownload,
    VideoOrder,
    VideoStatus,
)

CONVERTER = pydantic_data_converter.payload_converter
AT = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
CHARACTER = Artifact(path="op/character.png", sha256="aa", size_bytes=3)
VIDEO = Artifact(path="op/video-001.mp4", sha256="bb", size_bytes=4)
PROGRESS = Progress(
    operation_id="op",
    stage=Stage.AWAITING_VIDEO,
    progress_percent=71,
    paused=True,
    video=2,
    checkpoints=(
        Checkpoint(name="started", at=AT, cost_usd=Decimal(0)),
        Checkpoint(
            name="character_generated", at=AT, cost_usd=Decimal("0.039"), artifact=CHARACTER
        ),
        Checkpoint(name="video_1_complete", at=AT, cost_usd=Decimal("1.239"), artifact=VIDEO),
    ),
    cost_usd=Decimal("2.439"),
    failure="video 2 of 2 failed",
)


def started(name: str, usd: str = "1.20") -> StartedVideo:
    return StartedVideo(operation_id="op", number=1, provider_operation=name, cost_usd=Decimal(usd))


RECORDS = (
    PROGRESS,
    SingleVideoInput(character_prompt="a fox", video_prompt="it waves"),
    SeriesVideoInput(character_prompt="a fox", video_prompts=("1", "2"), progress=PROGRESS),
    CharacterOrder(operation_id="op", prompt="a fox"),
    Character(artifact=CHARACTER, cost_usd=Decimal("0.039")),
    VideoOrder(operation_id="op", number=1, prompt="it waves", character=CHARACTER),
    started("models/m/operations/1"),
    started("models/m/operations/1").model_copy(
        update={"deadline_seconds": 3600.0, "await_until": AT}
    ),
    OperationOrder(operation_id="op", prompts={"character": "a fox", "video-001": "it waves"}),
    Decision(step="video-001", choice=Choice.MADE, provider_operation="models/m/operations/1"),
    OpenCall(
        step="video-001",
        item=Item.VIDEO,
        cost_usd=Decimal("1.20"),
        sent_at=datetime(2026, 1, 2, tzinfo=UTC),
        settle_at=None,
        ambiguous=1,
        reason="no reply",
    ),
    VideoStatus(uri="https://example.com/files/1"),
    VideoDownload(operation_id="op", number=1, uri="https://example.com/files/1"),
)


def payload(json: str) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=json.encode())


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_comes_out_as_it_went_in(record: Record) -> None:
    sent = CONVERTER.to_payloads([record])
    assert CONVERTER.from_payloads(sent, [type(record)]) == [record]


def test_an_unknown_field_is_ignored() -> None:
    sent = payload('{"operation_id": "op", "prompt": "a fox", "style": "of a newer version"}')
    received = CONVERTER.from_payload(sent, CharacterOrder)
    assert received == CharacterOrder(operation_id="op", prompt="a fox")


def test_a_field_that_an_older_version_did_not_send_has_its_default() -> None:
    received = CONVERTER.from_payload(payload('{"operation_id": "op"}'), Progress)
    assert received == Progress(operation_id="op")


def test_a_video_that_an_older_worker_started_has_no_deadline_of_its_own() -> None:
    sent = '{"operation_id": "op", "number": 1, "provider_operation": "o", "cost_usd": "1.20"}'
    received = CONVERTER.from_payload(payload(sent), StartedVideo)
    assert (received.deadline_seconds, received.await_until) == (None, None)


@pytest.mark.parametrize("usd", ["0.1", "0.039", "1.20", "1234567.890123456789"])
def test_money_stays_exact(usd: str) -> None:
    sent = CONVERTER.to_payload(started("op", usd))
    assert str(CONVERTER.from_payload(sent, StartedVideo).cost_usd) == usd


def test_money_is_sent_as_a_string() -> None:
    sent = CONVERTER.to_payload(started("op"))
    assert b'"cost_usd":"1.20"' in sent.data


def test_artifacts_are_the_character_and_then_the_videos() -> None:
    assert PROGRESS.artifacts == (CHARACTER, VIDEO)


def test_a_record_does_not_change() -> None:
    with pytest.raises(ValidationError):
        PROGRESS.stage = Stage.COMPLETE  # type: ignore[misc]  # that it is refused is the point

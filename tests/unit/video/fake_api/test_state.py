"""What a provider knows of its operations, and that it learns all of it from its bills."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.chaos.video.fake_api.bills import Billed, BillsError, Call, Item, Outcome, Received
from tests.chaos.video.fake_api.state import Operation, Operations

AT = datetime(2026, 1, 2, tzinfo=UTC)
NAME = "models/veo/operations/op1"
BILL = Billed(
    at=AT,
    request_id="r1",
    item=Item.VIDEO,
    model="veo",
    prompt="a fox",
    amount_usd=Decimal("1.20"),
    operation=NAME,
    file="file1",
)


def test_operations_and_files_come_back_from_the_bills() -> None:
    received = Received(at=AT, request_id="r1", call=Call.VIDEO_START, key_valid=True)
    image = BILL.model_copy(update={"item": Item.IMAGE, "operation": None, "file": None})
    operations = Operations.replay((received, image, BILL))
    expected = Operation(
        name=NAME,
        request_id="r1",
        prompt="a fox",
        started_at=AT,
        outcome=Outcome.OK,
        file="file1",
    )
    assert operations.all() == (expected,)
    assert operations.named(NAME) == expected
    assert operations.of_file("file1") == expected


@pytest.mark.parametrize("outcome", list(Outcome))
def test_how_an_operation_ends_comes_back_too(outcome: Outcome) -> None:
    bill = BILL.model_copy(update={"outcome": outcome, "file": None})
    operation = Operations.replay((bill,)).named(NAME)
    assert operation is not None
    assert operation.outcome is outcome


def test_an_operation_is_rendered_when_its_time_has_passed() -> None:
    operation = Operation.of(BILL)
    assert not operation.rendered(AT + timedelta(seconds=1.9), video_seconds=2)
    assert operation.rendered(AT + timedelta(seconds=2), video_seconds=2)


def test_a_video_bill_without_an_operation_is_damage() -> None:
    with pytest.raises(BillsError, match="names no operation"):
        Operations.replay((BILL.model_copy(update={"operation": None}),))

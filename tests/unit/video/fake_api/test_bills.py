"""The provider's bills: durable, ordered, tolerant of a torn end and of nothing else."""

import asyncio
import os
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from tests.chaos.video.fake_api.bills import (
    Answered,
    Billed,
    BillsError,
    BillsWriter,
    Call,
    Item,
    Outcome,
    Received,
    read_bills,
    to_line,
)

AT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
RECEIVED = Received(at=AT, request_id="r1", call=Call.IMAGE, prompt="a fox", key_valid=True)
BILLED = Billed(
    at=AT,
    request_id="r1",
    item=Item.VIDEO,
    model="m",
    prompt="a fox",
    amount_usd=Decimal("1.20"),
    outcome=Outcome.OK,
)
ANSWERED = Answered(at=AT, request_id="r1", kind="ok", status=200, client_connected=True)


def received(number: int) -> Received:
    return RECEIVED.model_copy(update={"request_id": str(number)})


@pytest.mark.parametrize("record", [RECEIVED, BILLED, ANSWERED])
def test_a_record_reads_back_as_it_was(
    record: Received | Billed | Answered, tmp_path: Path
) -> None:
    path = tmp_path / "bills"
    path.write_bytes(to_line(record))
    assert read_bills(path) == (record,)


def test_bills_of_before_there_were_these_fields_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "bills"
    newer = (b',"redirected":false', b',"error_code":null')
    lines = to_line(RECEIVED) + to_line(BILLED) + to_line(ANSWERED)
    for field in newer:
        assert lines.count(field) == 1
        lines = lines.replace(field, b"")
    path.write_bytes(lines)
    assert read_bills(path) == (RECEIVED, BILLED, ANSWERED)


@pytest.mark.parametrize(
    ("outcome", "charged", "delivers"),
    [
        (Outcome.OK, True, True),
        (Outcome.INLINE, True, True),
        (Outcome.FAILED, False, False),
        (Outcome.FILTERED, False, False),
        (Outcome.UNDELIVERED, True, False),
        (Outcome.EXPIRED, True, False),
    ],
)
def test_an_outcome_says_whether_it_costs_and_delivers(
    outcome: Outcome, charged: bool, delivers: bool
) -> None:
    assert (outcome.charged, outcome.delivers) == (charged, delivers)


def test_an_amount_is_a_decimal_string_in_the_file() -> None:
    assert b'"amount_usd":"1.20"' in to_line(BILLED)


def test_times_are_stored_in_utc() -> None:
    east = AT.astimezone(timezone(timedelta(hours=5)))
    record = RECEIVED.model_validate(RECEIVED.model_dump() | {"at": east})
    assert record.at.utcoffset() == timedelta(0)


def test_a_missing_bills_is_empty(tmp_path: Path) -> None:
    assert read_bills(tmp_path / "none") == ()


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "bills"
    path.write_bytes(to_line(RECEIVED) + to_line(BILLED)[:-1])
    assert read_bills(path) == (RECEIVED,)


def test_a_damaged_line_elsewhere_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "bills"
    path.write_bytes(to_line(RECEIVED) + b'{"event": "bil\n' + to_line(ANSWERED))
    with pytest.raises(BillsError, match="Line 2"):
        read_bills(path)


async def test_the_writer_cuts_a_torn_line_off_before_it_appends(tmp_path: Path) -> None:
    path = tmp_path / "bills"
    path.write_bytes(to_line(RECEIVED) + b'{"event": "bil')
    writer, records = BillsWriter.open(path)
    await writer.append(ANSWERED)
    await writer.close()
    assert records == (RECEIVED,)
    assert read_bills(path) == (RECEIVED, ANSWERED)


async def test_a_record_is_synced_before_append_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bills"
    writer, _ = BillsWriter.open(path)
    sizes_at_sync: list[int] = []

    def fsync(descriptor: int) -> None:
        sizes_at_sync.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "fsync", fsync)
    await writer.append(RECEIVED)
    assert sizes_at_sync == [len(to_line(RECEIVED))]
    await writer.close()


async def test_concurrent_appends_keep_their_order_and_share_syncs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bills"
    writer, _ = BillsWriter.open(path)
    syncs: list[int] = []
    monkeypatch.setattr(os, "fsync", syncs.append)
    await asyncio.gather(*(writer.append(received(number)) for number in range(200)))
    await writer.close()
    written = [record.request_id for record in read_bills(path)]
    assert [str(number) for number in range(200)] == written
    assert len(syncs) < 10


async def test_a_failed_write_leaves_no_trace_and_is_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bills"
    writer, _ = BillsWriter.open(path)
    await writer.append(RECEIVED)

    def fsync(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fsync)
        with pytest.raises(BillsError, match="No space left"):
            await writer.append(BILLED)
    with pytest.raises(BillsError, match="No space left"):
        await writer.append(ANSWERED)
    await writer.close()
    assert read_bills(path) == (RECEIVED,)

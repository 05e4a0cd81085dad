"""What the provider saw of a job after its process was killed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from benchmarks.peer import DBOS, OURS, Trial, found, trial_of
from benchmarks.points import Point
from tests.chaos.video import specs
from tests.chaos.video.fake_api.bills import Answered, Billed, Call, Item, Received, Record

_AT = datetime(2026, 1, 1, tzinfo=UTC)
_ASKED = specs.single("job")
_IMAGE, _VIDEO = _ASKED.prompts


def _later(seconds: float) -> datetime:
    return _AT + timedelta(seconds=seconds)


def _asked(at: float, call: Call, prompt: str | None = None, file: str | None = None) -> Received:
    return Received(
        at=_later(at), request_id=f"r{at}", call=call, prompt=prompt, file=file, key_valid=True
    )


def _bill(at: float, item: Item, prompt: str, file: str | None = None) -> Billed:
    return Billed(
        at=_later(at),
        request_id=f"r{at}",
        item=item,
        model="m",
        prompt=prompt,
        amount_usd=Decimal(1),
        file=file,
    )


def _answered(at: float, request: float, kind: str = "ok") -> Answered:
    return Answered(
        at=_later(at), request_id=f"r{request}", kind=kind, status=200, client_connected=True
    )


_TOLD: tuple[Record, ...] = (
    _asked(-1, Call.IMAGE, _IMAGE),
    _bill(-1, Item.IMAGE, _IMAGE),
    _asked(2, Call.VIDEO_START, _VIDEO),
    _bill(2, Item.VIDEO, _VIDEO, "file-1"),
    _asked(2.5, Call.VIDEO_START, "another's"),
    _bill(2.5, Item.VIDEO, "another's"),
    _asked(3, Call.DOWNLOAD, file="file-1"),
    _answered(4, 3),
)


def test_it_goes_on_with_the_next_request_and_ends_with_the_file() -> None:
    assert trial_of(_TOLD, _ASKED, _AT) == Trial(goes_on=2.0, fetched=4.0, paid=2)


def test_a_second_bill_for_the_same_prompt_counts() -> None:
    again = (*_TOLD, _bill(2.2, Item.VIDEO, _VIDEO))

    seen = trial_of(again, _ASKED, _AT)

    assert seen is not None
    assert seen.paid == 3


def test_while_the_file_is_not_fetched_there_is_no_trial() -> None:
    assert trial_of(_TOLD[:-1], _ASKED, _AT) is None


def test_a_download_that_failed_is_not_the_end() -> None:
    assert trial_of((*_TOLD[:-1], _answered(4, 3, "reset")), _ASKED, _AT) is None


def test_what_each_engine_needed_stands_in_a_column_and_a_missing_peer_is_said() -> None:
    trials = {
        DBOS: {Point.IN_IMAGE: Trial(1.0, 2.0, 3)},
        OURS: {Point.IN_IMAGE: Trial(0.5, 1.0, 2)},
    }

    _, fetched, paid = found(trials).tables
    assert [cell.median for cell in fetched.row(Point.IN_IMAGE).cells.values()] == [2.0, 1.0]
    assert [cell.median for cell in paid.row(Point.IN_IMAGE).cells.values()] == [3, 2]
    assert "not installed" in found({OURS: trials[OURS]}).notes[0]

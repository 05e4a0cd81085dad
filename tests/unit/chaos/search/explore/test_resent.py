"""A report that was sent again is told from one that was not, by the lines' journals."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.search.crash.keep import is_report, is_sent_again
from chaos.wire.boundary import Boundary, Crossing
from chaos.wire.journal import RECORD, Called


def _crossing(text: str, attempt: int = 1) -> Crossing:
    return Crossing(boundary=Boundary.parse(text), workflow_id="order-1", attempt=attempt)


TAKEN = _crossing("activity charge_card completed")
FIRST = (_crossing("activity charge_card completing"), TAKEN)


def _journal(folder: Path, *calls: tuple[Crossing, ...]) -> Path:
    file = folder / "worker-1.jsonl"
    records = [Called(method="RespondActivityTaskCompleted", crossings=call) for call in calls]
    file.write_bytes(b"".join(RECORD.dump_json(record) + b"\n" for record in records))
    return file


@pytest.mark.parametrize(
    ("second", "is_again"),
    [
        (_crossing("activity charge_card completing"), True),
        (_crossing("activity charge_card completing", attempt=2), False),
        (_crossing("activity ship_parcel completing"), False),
        (_crossing("activity charge_card failing"), False),
    ],
)
def test_the_same_attempt_has_to_be_reported_twice(
    second: Crossing, is_again: bool, tmp_path: Path
) -> None:
    journal = _journal(tmp_path, FIRST, (second,))

    assert is_sent_again({journal: 0}, TAKEN) is is_again


def test_what_was_on_record_before_does_not_count(tmp_path: Path) -> None:
    journal = _journal(tmp_path, FIRST)
    begin = journal.stat().st_size
    with journal.open("ab") as file:
        file.write(RECORD.dump_json(Called(method="x", crossings=FIRST)) + b"\n")

    assert is_sent_again({journal: 0}, TAKEN)
    assert not is_sent_again({journal: begin}, TAKEN)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("activity charge_card completed", True),
        ("workflow_task Order failed", True),
        ("activity charge_card assigned", False),
        ("heartbeat charge_card completed", False),
    ],
)
def test_reports_of_work_are_sent_again_and_heartbeats_are_not(text: str, is_one: bool) -> None:
    assert is_report(_crossing(text)) is is_one

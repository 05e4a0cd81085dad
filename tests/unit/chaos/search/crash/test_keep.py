"""What is kept of one workflow, where many share a stack and its books."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chaos.evidence.bills import Bill, Charge, PaidRequest, Refusal
from chaos.evidence.case import BILLS, PAID_REQUESTS, REFUSALS
from chaos.evidence.journal import Journal
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.lab import Lab, Options
from chaos.search.crash.keep import is_report, is_sent_again
from chaos.wire.boundary import Boundary, Crossing
from chaos.wire.journal import RECORD, Called
from tests.unit.chaos.search.guest import PLAIN

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = WorkflowSpec(
    workflow_id="mine", workflow_type="Order", charges=(Charge(item="charges", key="mine-1"),)
)


def _bill(key: str) -> Bill:
    return Bill(at=NOW, item="charges", key=key, amount_usd=Decimal("0.30"))


def _request(operation_id: str) -> PaidRequest:
    return PaidRequest(
        operation_id=operation_id,
        step="charge",
        number=1,
        item="charges",
        cost_usd=Decimal("0.30"),
        state="done",
        reason=None,
        sent_at=NOW,
        key="",
        in_doubt=False,
    )


def _refusal(workflow_id: str) -> Refusal:
    return Refusal(at=NOW, service="payments", workflow_id=workflow_id, text="no")


async def test_only_what_the_books_say_of_the_workflow_is_kept(tmp_path: Path) -> None:
    target = replace(
        PLAIN,
        bills=lambda _: [_bill("mine-1"), _bill("another"), _bill("mine-1")],
        paid_requests=lambda _: [_request("p-mine"), _request("p-another")],
        refusals=lambda _: [_refusal("mine"), _refusal("another")],
    )
    stack = SimpleNamespace(
        target=target,
        evidence_folder=tmp_path,
        temporal=SimpleNamespace(prefix="p-"),
        client=SimpleNamespace(get_workflow_handle=lambda name: SimpleNamespace(id=name)),
    )
    journal = Journal(tmp_path / "journal.jsonl", lambda _: None)
    lab = Lab(cast("Any", stack), journal, Options())

    await lab.keep(SPEC, tmp_path)

    journal.close()
    assert (tmp_path / BILLS).read_text().count('"mine-1"') == 2
    assert "another" not in (tmp_path / BILLS).read_text()
    assert (tmp_path / PAID_REQUESTS).read_text().count('"operation_id"') == 1
    assert '"p-mine"' in (tmp_path / PAID_REQUESTS).read_text()
    assert (tmp_path / REFUSALS).read_text().count('"workflow_id"') == 1


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

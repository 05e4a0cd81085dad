"""What is kept of one workflow, where many share a stack and its books."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from chaos.evidence.bills import Bill, Charge, PaidRequest, Refusal
from chaos.evidence.case import BILLS, PAID_REQUESTS, REFUSALS
from chaos.evidence.journal import Journal
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.lab import Lab, Options
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

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from chaos.experiment.events import Billed
from chaos.plugin.view.bills import Bills, LedgerTail
from tests.chaos.video.fake_api.ledger import Billed as Bill
from tests.chaos.video.fake_api.ledger import Item, now, read_ledger, to_line
from tests.unit.chaos.plugin.view.story import ONE, case

EVIDENCE = Path(__file__).parents[4] / "data" / "evidence"


def _bill(usd: str) -> bytes:
    return to_line(
        Bill(
            at=now(),
            request_id="r",
            item=Item.IMAGE,
            model="m",
            prompt="p",
            amount_usd=Decimal(usd),
        )
    )


def test_a_ledger_is_read_on_as_it_grows_and_only_whole_lines_count(tmp_path: Path) -> None:
    tail = LedgerTail(tmp_path / "ledger.jsonl")
    assert not tail.read()

    first, second = _bill("0.039"), _bill("1.20")
    tail.path.write_bytes(first + second[:-20])
    assert tail.read()
    assert tail.usd == Decimal("0.039")
    assert not tail.read()

    tail.path.write_bytes(first + second)
    assert tail.read()
    assert tail.usd == Decimal("1.239")


def test_a_kept_ledger_comes_to_the_sum_of_its_bills() -> None:
    ledgers = sorted(EVIDENCE.glob("*/*/ledger.jsonl"))
    assert ledgers
    for ledger in ledgers:
        tail = LedgerTail(ledger)
        tail.read()
        assert tail.usd == sum(r.amount_usd for r in read_ledger(ledger) if isinstance(r, Bill))


def test_only_cases_with_new_bills_are_told(tmp_path: Path) -> None:
    bills = Bills([case(ledger=tmp_path / "ledger.jsonl")])
    assert list(bills.read()) == []

    (tmp_path / "ledger.jsonl").write_bytes(_bill("1.20"))

    assert list(bills.read()) == [Billed(ONE, Decimal("1.20"))]
    assert list(bills.read()) == []

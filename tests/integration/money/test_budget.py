"""Twenty workflows on three workers share a budget for seven and a half."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from chaos.environment.stack import StackSpec
from chaos.evidence.history import Status, Workflow
from chaos.evidence.spec import cost_usd
from tests.chaos.video import specs
from tests.chaos.video.fake_api.bills import Billed
from tests.chaos.video.target import VIDEO
from tests.integration.conftest import BenchIn
from tests.integration.workflows.bench import Bench

pytestmark = pytest.mark.timeout(180)

SPECS = [specs.single(f"of-a-budget-{number:02}") for number in range(20)]
SINGLE_USD = cost_usd(SPECS[0], VIDEO.billing)
BUDGET_USD = SINGLE_USD * Decimal("7.5")


async def billed_usd(bench: Bench) -> Decimal:
    """All that the provider billed so far."""
    records = await bench.lab.api.records()
    return sum((r.amount_usd for r in records if isinstance(r, Billed)), Decimal(0))


async def run_all(bench: Bench, budget_usd: Decimal) -> list[Workflow]:
    """All of them, on three new workers; how each ended."""
    settings = {"BUDGET_USD": str(budget_usd)}
    workers = await asyncio.gather(*(bench.lab.worker(settings=settings) for _ in range(3)))
    await asyncio.gather(*(bench.lab.start(spec) for spec in SPECS))
    ended = [await bench.ended(spec) for spec in SPECS]
    await asyncio.gather(*(worker.child.terminate() for worker in workers))
    return ended


async def test_not_a_cent_above_the_budget_is_paid_and_the_rest_goes_on_later(
    bench_in: BenchIn, tmp_path: Path
) -> None:
    async with bench_in(tmp_path, StackSpec(persistent=False)) as bench:
        ended = await run_all(bench, BUDGET_USD)
        spent_usd = await billed_usd(bench)
        again = await run_all(bench, SINGLE_USD * len(SPECS))
        in_all_usd = await billed_usd(bench)

    assert spent_usd <= BUDGET_USD
    # What is left does not buy another image: nothing was refused that could be afforded.
    assert BUDGET_USD - spent_usd < SINGLE_USD
    refused = [workflow for workflow in ended if workflow.status is Status.FAILED]
    assert refused
    assert all("of the budget of" in workflow.failure_message for workflow in refused)
    assert {workflow.status for workflow in again} == {Status.COMPLETED}
    assert in_all_usd == SINGLE_USD * len(SPECS)

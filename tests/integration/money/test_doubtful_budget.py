"""Replies that may have been billed, to twenty workers at once: they never pass the budget."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import JsonValue

from chaos.environment.stack import StackSpec
from chaos.evidence.history import Status
from tests.chaos.video import specs
from tests.chaos.video.fake_api import shapes
from tests.chaos.video.fake_api.bills import Billed, Call, Received
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule, When
from tests.integration.conftest import BenchIn

pytestmark = pytest.mark.timeout(240)

IMAGE_USD = Decimal("0.039")
BUDGET_USD = 5 * IMAGE_USD
WORKERS = 20


def unusable(part: dict[str, JsonValue]) -> FaultRule:
    """A reply with something that is no image as it stands."""
    content: JsonValue = {"role": "model", "parts": [part]}
    return FaultRule(
        call=Call.IMAGE,
        kind=FaultKind.STATUS,
        status=200,
        body={"candidates": [{"finishReason": "STOP", "content": content}]},
        when=When.AFTER_BILLING,
    )


def late(status: int) -> FaultRule:
    return FaultRule(
        call=Call.IMAGE, kind=FaultKind.STATUS, status=status, body={}, when=When.AFTER_BILLING
    )


REPLIES = {
    "counted-tokens": shapes.billed_without_image(),
    "max-tokens": shapes.out_of_tokens(),
    "without-a-type": unusable({"inlineData": {"data": "iVBORw0KGgo="}}),
    "by-reference": unusable({"fileData": {"mimeType": "image/png", "fileUri": "https://f/1"}}),
    "202": late(202),
    "409": late(409),
    "499": late(499),
}


async def test_twenty_workers_that_get_them_all_stay_within_the_budget(
    bench_in: BenchIn, tmp_path: Path
) -> None:
    every = [specs.single(f"{name}-{number}") for name in REPLIES for number in range(3)]
    async with bench_in(tmp_path, StackSpec(persistent=False)) as bench:
        for name, rule in REPLIES.items():
            always = rule.model_copy(update={"match": f"hero of {name}-", "times": None})
            await bench.lab.api.add_rule(always)
        await bench.lab.supervisor(WORKERS, settings={"BUDGET_USD": str(BUDGET_USD)})
        await asyncio.gather(*(bench.lab.start(spec) for spec in every))
        ended = await asyncio.gather(*(bench.ended(spec, deadline_seconds=120) for spec in every))
        records = await bench.lab.api.records()
    billed_usd = sum((r.amount_usd for r in records if isinstance(r, Billed)), Decimal(0))
    sent = [r for r in records if isinstance(r, Received)]
    assert len(sent) * IMAGE_USD == BUDGET_USD  # each may have been billed, and none is free
    assert billed_usd == BUDGET_USD
    assert {workflow.status for workflow in ended} == {Status.FAILED}
    assert all("of the budget of" in workflow.failure_message for workflow in ended)

"""What a replay of a whole history finds, and what only one of its beginnings does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio import workflow
from temporalio.client import WorkflowHistory

from chaos.evidence.exported import find_exported
from chaos.invariants.replaying import Code

_ORDERS = Path(__file__).parents[3] / "data" / "orders"
_KILLED = _ORDERS / "worker_dies_charging/sigkill/histories/order-killed.run-1.json"
_MINUTE = timedelta(minutes=1)


@workflow.defn(name="Order", sandboxed=False)
class _AsItWas:
    @workflow.run
    async def run(self, order: dict[str, Any]) -> None:
        await workflow.execute_activity("charge_card", order, start_to_close_timeout=_MINUTE)
        await workflow.execute_activity("ship_parcel", order, start_to_close_timeout=_MINUTE)


@workflow.defn(name="Order", sandboxed=False)
class _WithAMailAtTheEnd:
    """No patch protects the new step."""

    @workflow.run
    async def run(self, order: dict[str, Any]) -> None:
        await workflow.execute_activity("charge_card", order, start_to_close_timeout=_MINUTE)
        await workflow.execute_activity("ship_parcel", order, start_to_close_timeout=_MINUTE)
        await workflow.execute_activity("send_mail", order, start_to_close_timeout=_MINUTE)


@workflow.defn(name="Order", sandboxed=False)
class _WithAHalfOfAPatch:
    """An order that was charged before the deployment goes on with what only new ones have."""

    def __init__(self) -> None:
        self.discounts: dict[str, int] = {}

    @workflow.run
    async def run(self, order: dict[str, Any]) -> None:
        if workflow.patched("discount"):
            self.discounts["this"] = 5
        await workflow.execute_activity("charge_card", order, start_to_close_timeout=_MINUTE)
        if workflow.patched("tell-the-discount"):
            workflow.upsert_memo({"discount": self.discounts["this"]})
        await workflow.execute_activity("ship_parcel", order, start_to_close_timeout=_MINUTE)


@workflow.defn(name="Order", sandboxed=False)
class _WithALogThatFails:
    """No patch at all: what is not replayed is not the same code."""

    @workflow.run
    async def run(self, order: dict[str, Any]) -> None:
        await workflow.execute_activity("charge_card", order, start_to_close_timeout=_MINUTE)
        if not workflow.unsafe.is_replaying():
            workflow.logger.info(order["nobody"])
        await workflow.execute_activity("ship_parcel", order, start_to_close_timeout=_MINUTE)


def _failures(code: type) -> dict[int, str]:
    """By how many events a worker had."""
    (exported,) = find_exported([_KILLED])

    async def histories() -> AsyncIterator[WorkflowHistory]:
        for length in exported.lengths:
            yield WorkflowHistory.from_json("order-killed", exported.up_to(length))

    async def replay() -> dict[int, str]:
        found = Code([code]).replayed(histories())
        return {len(history.events): failure async for history, failure in found}

    return asyncio.run(replay())


def test_the_same_code_goes_on_from_each_workflow_task() -> None:
    assert _failures(_AsItWas) == {3: "", 9: "", 15: "", 17: ""}


def test_only_the_whole_shows_a_step_that_came_at_the_end() -> None:
    found = _failures(_WithAMailAtTheEnd)

    assert [length for length, failure in found.items() if failure] == [17]
    assert found[17].startswith("[TMPRL1100] Nondeterminism error: ")
    assert "WorkflowExecutionCompleted" in found[17]


def test_only_a_beginning_shows_a_patch_that_needs_another() -> None:
    found = _failures(_WithAHalfOfAPatch)

    assert [length for length, failure in found.items() if failure] == [9]
    assert found[9] == "KeyError: 'this'"


def test_only_a_beginning_shows_what_a_replay_leaves_out() -> None:
    found = _failures(_WithALogThatFails)

    assert [length for length, failure in found.items() if failure] == [9]
    assert found[9] == "KeyError: 'nobody'"

"""The shop as the suite starts it, and what must hold of every order."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from orders.workflow import Order, OrderInput

from chaos.kit import (
    COMMON,
    Evidence,
    Lab,
    Service,
    StackSpec,
    System,
    WorkflowSpec,
    invariant,
    replays_with,
    wait_until,
)

CHARGES, PARCELS = "charges.jsonl", "parcels.jsonl"


def shop(**doubles: str) -> StackSpec:
    """What is started for a case; `doubles` are settings of the two stand-ins."""
    return StackSpec(
        system=System(
            worker=(sys.executable, "-m", "orders.worker"),
            task_queue="orders",
            folder=Path(__file__).parent.parent,
            services=(
                _double("payments", CHARGES, doubles),
                _double("carrier", PARCELS, doubles),
            ),
            # 15 s until a lost heartbeat is noticed, 3 s of backoff, and what a start takes.
            recovery_seconds=25,
        )
    )


def _double(name: str, books: str, settings: Mapping[str, str]) -> Service:
    """A stand-in, whose books are kept with the evidence."""
    return Service(
        name=name,
        argv=(sys.executable, "-m", "orders.doubles", "{port}", f"{{evidence}}/{books}"),
        variable=f"{name.upper()}_URL",
        settings=settings,
    )


SHOP = shop()


def order(order_id: str, attempts: Mapping[str, int] | None = None) -> WorkflowSpec:
    """An order that completes; `attempts` are those that its fault explains."""
    bought = OrderInput(order_id=order_id, amount_cents=4990, address="Chaos Lane 1")
    return WorkflowSpec(
        workflow_id=order_id, workflow_type="Order", arguments=(bought,), attempts=attempts or {}
    )


def times_on(books: Path) -> Counter[str]:
    """How often each order is on somebody's books."""
    lines = books.read_text().splitlines() if books.exists() else []
    return Counter(json.loads(line)["order_id"] for line in lines)


async def until_booked(lab: Lab, name: str, order_id: str) -> None:
    """Wait until an order is on somebody's books: that is done, and the worker waits to hear so."""
    await wait_until(
        lambda: times_on(lab.stack.evidence_folder / name)[order_id] > 0,
        what=f"{order_id} is in {name}",
        deadline_seconds=lab.step_deadline_seconds,
    )


@invariant
def charged_once_and_shipped_once(evidence: Evidence) -> Iterator[str]:
    """By the books of those who were asked, not by what the workflow says."""
    for name in (CHARGES, PARCELS):
        times = times_on(evidence.folder / name)
        for expected in evidence.specs:
            if times[expected.workflow_id] != 1:
                yield f"{expected.workflow_id} is {times[expected.workflow_id]} times in {name}"


CHECKS = (*COMMON, replays_with([Order]), charged_once_and_shipped_once)

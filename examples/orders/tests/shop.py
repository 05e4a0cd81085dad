"""The shop as the harness starts it, what an order should cost, and what must hold of each."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from orders import doubles, workflow_v2
from orders.workflow import Order, OrderInput

from chaos import (
    COMMON,
    EVIDENCE,
    PORT,
    SURVIVAL,
    Bill,
    Charge,
    Lab,
    Metrics,
    Scenario,
    Service,
    Target,
    Timings,
    Version,
    Versions,
    WorkflowSpec,
    replays_with,
    wait_until,
)

CHARGES, PARCELS = "charges.jsonl", "parcels.jsonl"

_replays = replays_with([Order])
CHECKS = (*COMMON, _replays)
"""What must hold of a case whose fault is known. That an order is charged once and shipped once is
among it: `COMMON` compares the bills with the charges of its spec."""


def order(
    order_id: str, attempts: Mapping[str, int] | None = None, *, amount_cents: int = 4990
) -> WorkflowSpec:
    """An order that completes; `attempts` are those that its fault explains."""
    bought = OrderInput(order_id=order_id, amount_cents=amount_cents, address="Chaos Lane 1")
    return WorkflowSpec(
        workflow_id=order_id,
        workflow_type="Order",
        arguments=(bought,),
        charges=(Charge(item="charges", key=order_id), Charge(item="parcels", key=order_id)),
        attempts=attempts or {},
    )


def large_order(order_id: str) -> WorkflowSpec:
    """One that nobody would want to be charged for twice."""
    return order(order_id, amount_cents=149_900)


def bills(folder: Path) -> Iterator[Bill]:
    """By the books of the payment provider and of the carrier. Old ones tell no prices."""
    for name in (CHARGES, PARCELS):
        for entry in entries_of(folder / name):
            if "price_usd" in entry:
                yield Bill(
                    at=datetime.fromtimestamp(entry["at"], UTC),
                    item=entry["thing"],
                    key=entry["order_id"],
                    amount_usd=Decimal(entry["price_usd"]),
                )


def entries_of(books: Path) -> Sequence[dict[str, Any]]:
    """All that is on somebody's books."""
    lines = books.read_text().splitlines() if books.exists() else []
    return [json.loads(line) for line in lines]


def _double(name: str, books: str, settings: Mapping[str, str]) -> Service:
    """A stand-in, whose books are kept with the evidence: it may die and come back with them."""
    return Service(
        name=name,
        argv=(sys.executable, doubles.__file__, PORT, f"{EVIDENCE}/{books}"),
        variable=f"{name.upper()}_URL",
        settings=settings,
        may_die=True,
    )


def _scenarios() -> Sequence[Scenario]:
    from tests import every_fault, scenarios  # noqa: PLC0415 - they name the shop

    return (*scenarios.SCENARIOS, *every_fault.SCENARIOS)


VERSIONS = Versions(
    old=Version(settings={"ORDERS_VERSION": "1"}, build_id="1.0"),
    new=Version(settings={"ORDERS_VERSION": "2"}, build_id="2.0"),
    broken=Version(settings={"ORDERS_VERSION": "2-unpatched"}, build_id="2.0-unpatched"),
    deployment="orders",
    # The code of version 2 replays what either has done; that of version 1 only its own.
    invariants=(*SURVIVAL, replays_with([workflow_v2.Order])),
)
"""The builds between which a deploy is tested."""


def shop(**settings: str) -> Target:
    """What is started for a case; `settings` are those of the two stand-ins."""
    return Target(
        worker=(sys.executable, "-m", "orders.worker"),
        task_queue="orders",
        cwd=Path(__file__).parent.parent,
        preload=("orders.worker",),
        services=(_double("payments", CHARGES, settings), _double("carrier", PARCELS, settings)),
        # 15 s until a lost heartbeat is noticed, 3 s of backoff, and what a start takes.
        timings=Timings(recovery_seconds=25),
        prices_usd=doubles.PRICES_USD,
        metrics=Metrics("METRICS_ADDRESS"),
        bills=bills,
        specs={"order": order, "large_order": large_order},
        invariants=(*SURVIVAL, _replays),
        scenarios=_scenarios,
        versions=VERSIONS,
    )


SHOP = shop()


async def until_booked(lab: Lab, name: str, order_id: str) -> None:
    """Wait until an order is on somebody's books: that is done, and the worker waits to hear so."""
    books = lab.stack.evidence_folder / name
    await wait_until(
        lambda: any(entry["order_id"] == order_id for entry in entries_of(books)),
        what=f"{order_id} is in {name}",
        deadline_seconds=lab.step_deadline_seconds,
    )

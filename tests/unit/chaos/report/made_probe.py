"""A probe made by hand, with something of each kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chaos.search.probe.record import Cell, Fate, Finding, Probe, TimelineEntry, Undisturbed
from chaos.wire.boundary import Boundary
from tests.unit.chaos.made_history import NOON

TEXTS = {
    Fate.STUCK: "charge_card, attempt 1 would be taken up again only after 600 s",
    Fate.DONE_TWICE: "POST /charges was sent 2 times during charge_card, undisturbed 1",
    Fate.SENT_AGAIN: "POST /parcels was sent 2 times, and the service can tell",
    Fate.UNKNOWN: "nobody came there",
    Fate.SURVIVED: "it ended as undisturbed",
}


def cell(where: str, fate: Fate, action: str = "kill", **fields: Any) -> Cell:
    """One point."""
    boundary = Boundary.parse(where)
    return Cell(
        boundary=boundary,
        action=action,
        workflow_id=f"order-{where}",
        folder=f"tries/{where}",
        findings=(Finding(fate=fate, text=TEXTS.get(fate, "it broke")),),
        timeline=timeline(boundary),
        command=f"temporal-chaos probe --at '{boundary}' --action {action}",
        **fields,
    )


def timeline(boundary: Boundary) -> tuple[TimelineEntry, ...]:
    """What happened around it."""
    return (
        TimelineEntry(seconds=-1.2, mark="history", text="Order is started"),
        TimelineEntry(seconds=-1.0, mark="wire", text="workflow task Order: with its worker"),
        TimelineEntry(seconds=-0.4, mark="service", text="POST /charges: asked"),
        TimelineEntry(seconds=0.0, mark="hit", text=f"the boundary is reached: {boundary}"),
        TimelineEntry(seconds=0.01, mark="kill", text="worker-1 (pid 7): signaled SIGKILL"),
        TimelineEntry(seconds=0.02, mark="exit", text="worker-1 (pid 7): exited"),
        TimelineEntry(seconds=1.9, mark="start", text="worker-1 (pid 8): ready"),
        TimelineEntry(seconds=15.2, mark="wire", text="activity charge_card: given out, attempt 2"),
        TimelineEntry(seconds=17.0, mark="history", text="Order is completed"),
    )


CELLS = (
    cell("workflow_task Order assigned", Fate.SURVIVED, recovered_seconds=10.3, bound_seconds=22.0),
    cell("workflow_task Order completing", Fate.SURVIVED, recovered_seconds=10.1),
    cell("activity charge_card assigned", Fate.STUCK),
    cell("activity charge_card completing", Fate.DONE_TWICE, recovered_seconds=15.2),
    cell("activity charge_card completed", Fate.SURVIVED, recovered_seconds=1.0),
    cell("activity charge_card completed", Fate.SURVIVED, "drop", recovered_seconds=0.2),
    cell("activity ship_parcel completing", Fate.SENT_AGAIN, recovered_seconds=15.0),
    cell("activity ship_parcel delivered 2", Fate.UNKNOWN, tries=3),
    cell("call POST /charges answered", Fate.DONE_TWICE, service="payments"),
)


def probe(cells: Sequence[Cell] = CELLS, **fields: Any) -> Probe:
    """All of it."""
    run = Undisturbed(workflow_id="undisturbed-1", folder="runs/1", status="completed", seconds=2.1)
    made = {
        "workflow": "Order",
        "command": "temporal-chaos probe --worker 'npm start' --task-queue orders",
        "began_at": NOON,
        "seconds": 84.0,
        "found": 24,
        "chosen": len(cells),
        "undisturbed": (run, run),
        "masked": ("charge_id", "parcel_id"),
        "cells": tuple(cells),
    }
    return Probe.model_validate({**made, **fields})

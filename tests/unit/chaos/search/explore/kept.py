"""What the tests of explorations and of their report share: a real plan, and tries of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from chaos.evidence.history import Status
from chaos.invariants.verdict import Verdict
from chaos.search.explore.plan import Plan, PlannedHit
from chaos.search.explore.state import Attempt

KEPT = Path(__file__).parent / "evidence"
FAULT_FREE = "single-fault-free-stack-1-1"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PLAN = Plan.model_validate_json((KEPT / "plan.json").read_bytes())


def planned_hit(name: str) -> PlannedHit:
    """By its name."""
    return next(each for each in PLAN.hits if each.name == name)


def attempt_of(planned: PlannedHit, number: int = 1, **changes: object) -> Attempt:
    """A try of a crash point that hit all its boundaries, with `changes`."""
    whole = Attempt(
        crash_point=planned.name,
        workflow_id=f"{planned.name}-try-{number}",
        began_at=BEGIN,
        ended_at=BEGIN + timedelta(seconds=30),
        verdict=Verdict.PASSED,
        reason="16 checks hold",
        is_reached=True,
        proven=tuple(map(str, planned.point.boundaries)),
        pid=42,
        status=Status.COMPLETED,
        billed_usd=Decimal("1.239"),
        ideal_usd=Decimal("1.239"),
        recovery_seconds=1.5,
    )
    return whole.model_copy(update=changes)

"""Real tries, a plan, and ways to break them. They come from one exploration of the single."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from chaos.evidence.case import Evidence
from chaos.evidence.history import Status, Workflow
from chaos.invariants.verdict import Verdict
from chaos.search.explore.keep import read_passed
from chaos.search.explore.moments import Passed
from chaos.search.explore.plan import Plan, Target
from chaos.search.explore.state import Try

KEPT = Path(__file__).parent / "evidence"
FAULT_FREE = "single-fault-free-stack-1"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)

TryOf = Callable[..., Try]


@pytest.fixture(scope="session")
def plan() -> Plan:
    return Plan.model_validate_json((KEPT / "plan.json").read_bytes())


@pytest.fixture(scope="session")
def workflow() -> Workflow:
    """Undisturbed."""
    return Evidence.load(KEPT / FAULT_FREE).workflows[FAULT_FREE]


@pytest.fixture(scope="session")
def passed() -> list[Passed]:
    """What the undisturbed workflow's worker told."""
    return list(read_passed(KEPT / FAULT_FREE))


@pytest.fixture
def kept(tmp_path: Path) -> Callable[[str], Path]:
    """Copies a try's folder, so that it can be broken."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(KEPT / f"{name}-try-1", tmp_path / name))

    return copy


@pytest.fixture
def target(plan: Plan) -> Callable[[str], Target]:
    """By its name."""
    return lambda name: next(t for t in plan.targets if t.name == name)


@pytest.fixture
def try_of() -> TryOf:
    """A try of a target that hit all its points, with `changes`."""

    def make(target: Target, number: int = 1, **changes: object) -> Try:
        whole = Try(
            target=target.name,
            workflow_id=f"{target.name}-try-{number}",
            began_at=BEGIN,
            ended_at=BEGIN + timedelta(seconds=30),
            verdict=Verdict.PASSED,
            reason="16 checks hold",
            proven=tuple(point.name for point in target.stop.points),
            pid=42,
            status=Status.COMPLETED,
            billed_usd=Decimal("1.239"),
            ideal_usd=Decimal("1.239"),
            recovery_seconds=1.5,
        )
        return whole.model_copy(update=changes)

    return make

"""Real tries, which can be broken. They come from one exploration of the single."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos.evidence.history import Workflow
from chaos.search.explore.plan import Plan
from chaos.wire.journal import WireRecords, read_wire
from tests.chaos.video.target import VIDEO
from tests.unit.chaos.search.explore.kept import FAULT_FREE, KEPT, PLAN


@pytest.fixture
def plan() -> Plan:
    return PLAN


@pytest.fixture(scope="session")
def workflow() -> Workflow:
    """Undisturbed."""
    return VIDEO.load_evidence(KEPT / FAULT_FREE).workflows[FAULT_FREE]


@pytest.fixture(scope="session")
def records() -> WireRecords:
    """What passed on the lines of the undisturbed workflow's worker."""
    return read_wire(KEPT / FAULT_FREE)


@pytest.fixture
def kept(tmp_path: Path) -> Callable[[str], Path]:
    """Copies a try's folder, so that it can be broken."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(KEPT / f"{name}-try-1", tmp_path / name))

    return copy

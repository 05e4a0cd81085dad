"""Real tries, which can be broken. They come from one exploration of the single."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos.evidence.history import Workflow
from chaos.search.explore.keep import read_passed
from chaos.search.explore.moments import Passed
from chaos.search.explore.plan import Plan
from tests.chaos.video.target import VIDEO
from tests.unit.chaos.search.explore.kept import KEPT, PLAN

FAULT_FREE = "single-fault-free-stack-1"


@pytest.fixture
def plan() -> Plan:
    return PLAN


@pytest.fixture(scope="session")
def workflow() -> Workflow:
    """Undisturbed."""
    return VIDEO.load_evidence(KEPT / FAULT_FREE).workflows[FAULT_FREE]


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

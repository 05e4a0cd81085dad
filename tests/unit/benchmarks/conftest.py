"""Evidence of real runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.evidence.case import Evidence

EVIDENCE = Path(__file__).parents[2] / "data" / "evidence"


@pytest.fixture
def server_restart() -> Evidence:
    return Evidence.load(EVIDENCE / "server_restart" / "sigkill")


@pytest.fixture
def concurrency() -> Evidence:
    return Evidence.load(EVIDENCE / "concurrency" / "one_worker")

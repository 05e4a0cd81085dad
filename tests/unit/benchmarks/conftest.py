"""Evidence of real runs."""

from __future__ import annotations

import pytest

from tests.chaos.video.evidence import VideoEvidence
from tests.unit.kept import kept


@pytest.fixture
def server_restart() -> VideoEvidence:
    return kept("server_restart", "sigkill")


@pytest.fixture
def concurrency() -> VideoEvidence:
    return kept("concurrency", "one_worker")

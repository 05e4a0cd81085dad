"""Where a process kills itself, and where not."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from benchmarks.points import FOLDER_VARIABLE, Point, arm, died_at, passes

Blows = list[tuple[int, int]]


@pytest.fixture
def blows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Blows:
    found: Blows = []
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(os, "kill", lambda pid, number: found.append((pid, number)))
    return found


def test_it_dies_at_its_point_once_and_says_when(tmp_path: Path, blows: Blows) -> None:
    arm(tmp_path, "job", Point.BEFORE_VIDEO)
    began = time.time()

    passes("job", Point.BEFORE_VIDEO)
    passes("job", Point.BEFORE_VIDEO)

    died = died_at(tmp_path, "job")
    assert blows == [(os.getpid(), signal.SIGKILL)]
    assert died is not None
    assert began <= died <= time.time()


def test_another_point_and_another_job_go_on(tmp_path: Path, blows: Blows) -> None:
    arm(tmp_path, "job", Point.BEFORE_VIDEO)

    passes("job", Point.BEFORE_IMAGE)
    passes("other", Point.BEFORE_VIDEO)

    assert blows == []
    assert died_at(tmp_path, "job") is None

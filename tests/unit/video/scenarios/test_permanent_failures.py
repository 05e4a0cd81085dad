from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chaos.evidence.journal import Entry, Event
from chaos.invariants.verdict import Verdict
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.scenarios.permanent_failures import refused_to_start

BEGUN = datetime(2026, 11, 25, tzinfo=UTC)
CHECK = refused_to_start("worker-1", "VIDEO_SECONDS must be 4, 6 or 8, not 5.")
SAID = "worker: VIDEO_SECONDS must be 4, 6 or 8, not 5.\n"


def entry(second: int, event: Event, exit_code: int | None = None) -> Entry:
    at = BEGUN + timedelta(seconds=second)
    return Entry(at=at, event=event, target="worker-1", pid=7, exit_code=exit_code)


STARTED, READY, SIGNALED = entry(0, Event.STARTED), entry(1, Event.READY), entry(1, Event.SIGNALED)
REFUSED, CRASHED = entry(2, Event.EXITED, 2), entry(2, Event.EXITED, 1)


def evidence(base: VideoEvidence, folder: Path, *journal: Entry, log: str = SAID) -> VideoEvidence:
    (folder / "logs").mkdir()
    (folder / "logs" / "worker-1.log").write_text(log)
    return replace(base, folder=folder, journal=journal)


def test_a_worker_that_ended_at_once_and_said_why_holds(
    concurrency: VideoEvidence, tmp_path: Path
) -> None:
    seen = evidence(concurrency, tmp_path, STARTED, REFUSED)
    assert CHECK.examine(seen).problems == ()


@pytest.mark.parametrize(
    ("journal", "log"),
    [
        ((), SAID),
        ((STARTED,), SAID),
        ((STARTED, CRASHED), SAID),
        ((STARTED, READY, REFUSED), SAID),
        ((STARTED, SIGNALED, REFUSED), SAID),
        ((STARTED, REFUSED), ""),
        ((STARTED, REFUSED), "Traceback …\n" + SAID),
    ],
    ids=["never", "lives", "crashed", "worked", "signaled", "silent", "trace"],
)
def test_any_other_end_proves_nothing(
    concurrency: VideoEvidence, tmp_path: Path, journal: tuple[Entry, ...], log: str
) -> None:
    seen = evidence(concurrency, tmp_path, *journal, log=log)
    assert CHECK.examine(seen).verdict is Verdict.UNKNOWN

"""A worker that is stopped as a deploy stops it: real processes, with a grace and without."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chaos.evidence.journal import Event, Journal, read_journal
from chaos.faults import StopWorker
from chaos.process.child import Child, child_environment
from chaos.process.waiting import wait_until

HEEDS = "import time; print('ready', flush=True); time.sleep(60)"
IGNORES = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {HEEDS}"


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    found = Journal(tmp_path / "journal.jsonl", lambda _: None)
    yield found
    found.close()


@pytest.mark.parametrize(
    ("program", "grace_seconds", "signals"),
    [
        (HEEDS, 30.0, ["SIGTERM"]),
        (IGNORES, 0.5, ["SIGTERM", "SIGKILL"]),
        (IGNORES, 0.0, ["SIGTERM", "SIGKILL"]),
    ],
    ids=["it ends in its grace", "it outlives its grace", "it gets none"],
)
async def test_a_worker_gets_sigterm_and_sigkill_after_its_grace(
    tmp_path: Path,
    journal: Journal,
    program: str,
    grace_seconds: float,
    signals: list[str],
) -> None:
    log = tmp_path / "worker-1.log"
    child = Child(
        name="worker-1",
        argv=(sys.executable, "-c", program),
        environment=child_environment("tag", tmp_path, {}),
        folder=tmp_path,
        log=log,
        journal=journal,
    )
    lab: Any = SimpleNamespace(stack=SimpleNamespace(workers=[SimpleNamespace(child=child)]))
    child.start()
    try:
        await wait_until(lambda: "ready" in log.read_text(), what="ready", deadline_seconds=20)
        await StopWorker(worker="worker-1", grace_seconds=grace_seconds).inject(lab)
    finally:
        await child.discard()

    code = -9 if "SIGKILL" in signals else -15
    entries = read_journal(tmp_path / "journal.jsonl")
    assert [e.signal for e in entries if e.event is Event.SIGNALED] == signals
    assert [e.exit_code for e in entries if e.event is Event.EXITED] == [code]

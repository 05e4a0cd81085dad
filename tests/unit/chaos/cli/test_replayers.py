"""Replayers: how their processes end."""

from __future__ import annotations

import os
import sys
import time
from asyncio.subprocess import Process
from pathlib import Path

import pytest

from chaos.cli import UnusableError
from chaos.cli.replayers import replay_all
from chaos.evidence.exported import find_exported

ORDERS = Path(__file__).parents[4] / "tests" / "data" / "orders"


async def test_asyncio_alone_reaps_a_replayer_that_is_dead_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Who reaps it besides takes its exit code from asyncio, which then says so in a log."""
    kill, reap = Process.kill, os.waitpid

    def kill_for_certain(process: Process) -> None:
        kill(process)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    def reap_late(pid: int, options: int) -> tuple[int, int]:
        """As on a busy machine: whoever else would reap it comes first."""
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        time.sleep(0.2)
        return reap(pid, options)

    monkeypatch.setattr(Process, "kill", kill_for_certain)
    monkeypatch.setattr(os, "waitpid", reap_late)
    endless = "while True: print('x' * 1_000_000, end='')"
    (history, *_) = find_exported(
        [ORDERS / "worker_dies_charging/sigkill/histories/order-killed.run-1.json"]
    )

    with pytest.raises(UnusableError, match="wrote a line of more than 16 MB"):
        await replay_all([sys.executable, "-c", endless], [history])

    assert caplog.text == ""

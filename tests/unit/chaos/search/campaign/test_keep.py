"""What a case costs its machine."""

from __future__ import annotations

import subprocess
import sys

from chaos.search.campaign.keep import CpuClock

BUSY = """
import time
while time.process_time() < 0.3:
    pass
"""


def test_all_that_a_machine_runs_is_counted_once() -> None:
    clock = CpuClock()
    before = clock.since_last()
    subprocess.run([sys.executable, "-c", BUSY], check=True)
    ended = clock.since_last()
    with subprocess.Popen(
        [sys.executable, "-c", f"{BUSY}\nprint(flush=True)\ninput()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as living:
        assert living.stdout
        living.stdout.readline()
        running = clock.since_last()
        living.communicate(b"\n")

    assert before > 0
    assert ended >= 0.25
    assert running >= 0.25
    assert clock.since_last() < 0.25

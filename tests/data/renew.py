"""Copy the evidence for tests anew: `python tests/data/renew.py reports/<run> …`.

Of several runs, one on the topology dev, one on postgres and one with `--seed 4 --duration 12
--workflows 5`: each case is taken from the first that has it.

Left out are the logs; taken out are the machine's name and the paths in stack traces.
"""

from __future__ import annotations

import re
import shutil
import socket
import sys
from pathlib import Path

CASES = (
    "worker_crash/sigkill_twice",
    "retry_config/policy_and_behaviour",
    "server_restart/sigkill",
    "server_restart/control_in_memory",
    "server_restart/each_role",
    "checkpoint/sigkill_after_video_1",
    "concurrency/one_worker",
    "disk_full/artifacts",
    "disk_full/ledger",
    "server_pause/twice_in_a_row",
    "server_pause/under_load",
    "database_damage/gone",
    "seeded/seed_4",
)
TARGET = Path(__file__).parent / "evidence"


def main(*runs: Path) -> None:
    """Replace all of the evidence."""
    shutil.rmtree(TARGET, ignore_errors=True)
    for case in CASES:
        run = next(run for run in runs if (run / case).exists())
        shutil.copytree(run / case, TARGET / case, ignore=shutil.ignore_patterns("logs"))
    for file in TARGET.rglob("histories/*.json"):
        file.write_text(scrub(file.read_text()))


def scrub(history: str) -> str:
    """A history without what only this machine has."""
    history = re.sub(r'"stackTrace": "(?:[^"\\]|\\.)*"', '"stackTrace": ""', history)
    return re.sub(rf"@{re.escape(socket.gethostname())}\b", "@host", history)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

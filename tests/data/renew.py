"""Copy the evidence for tests anew: `python tests/data/renew.py reports/<run> …`; with `--orders` a
whole run of `examples/orders/tests/test_orders_survive.py`. `--histories RELEASE FOLDER …` adds to
those that are kept for good the video workflows in these folders that took a course of their own.

Of several runs, one on the topology dev, one on postgres and one with `--seed 4 --duration 12
--workflows 5`: each case is taken from the first that has it.

Left out are the logs; taken out are the machine's name and the paths in stack traces.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

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
HISTORIES = Path(__file__).parent / "histories"
_WORDS = re.compile(r'"(?:name|type|signalName|markerName)": "([^"]*)"')
VIDEOS = {"SingleVideo", "SeriesVideo"}


def main(*runs: Path) -> None:
    """Replace all of the evidence."""
    shutil.rmtree(TARGET, ignore_errors=True)
    for case in CASES:
        run = next(run for run in runs if (run / case).exists())
        shutil.copytree(run / case, TARGET / case, ignore=shutil.ignore_patterns("logs"))
    for file in TARGET.rglob("histories/*.json"):
        file.write_text(scrub(file.read_text()))


def renew_orders(run: Path) -> None:
    """Replace the run of another system, which is kept whole."""
    target = TARGET.parent / "orders"
    shutil.rmtree(target, ignore_errors=True)
    written_again = ("report.html", "results.md", "summary.md", "junit.xml")
    shutil.copytree(run, target, ignore=shutil.ignore_patterns("logs", *written_again))
    for file in target.rglob("histories/*.json"):
        file.write_text(scrub(file.read_text()))


def keep_histories(release: str, *folders: Path) -> None:
    """Add the histories that took another course than all that are kept."""
    kept = HISTORIES / release
    kept.mkdir(parents=True, exist_ok=True)
    known = {
        course(json.loads(gzip.decompress(file.read_bytes())))
        for file in sorted(HISTORIES.rglob("*.json.gz"))
    }
    for folder in folders:
        for file in sorted(folder.rglob("histories/*.json")):
            history = json.loads(file.read_text())
            started = history["events"][0]["workflowExecutionStartedEventAttributes"]
            if started["workflowType"]["name"] not in VIDEOS or course(history) in known:
                continue
            known.add(course(history))
            text = json.dumps(json.loads(scrub(file.read_text())), separators=(",", ":"))
            # Without a time, so that the same history is the same file.
            (kept / f"{file.name}.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def course(history: dict[str, Any]) -> str:
    """What happened in a workflow, in order, for whom nothing else counts: its replay decides the
    same. Left out are workflow tasks and times.
    """
    steps = []
    for event in history["events"]:
        kind = event["eventType"].removeprefix("EVENT_TYPE_")
        if not kind.startswith("WORKFLOW_TASK_"):
            words = re.findall(
                r'"(?:name|type|signalName|markerName)": ?"([^"]*)"', json.dumps(event)
            )
            steps.append(" ".join([kind, *words]))
    return "\n".join(steps)


def scrub(history: str) -> str:
    """A history without what only this machine has."""
    history = re.sub(r'"stackTrace": "(?:[^"\\]|\\.)*"', '"stackTrace": ""', history)
    return re.sub(rf"@{re.escape(socket.gethostname())}\b", "@host", history)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--orders"]:
        renew_orders(Path(sys.argv[2]).resolve())
    elif sys.argv[1:2] == ["--histories"]:
        keep_histories(sys.argv[2], *map(Path, sys.argv[3:]))
    else:
        main(*map(Path, sys.argv[1:]))

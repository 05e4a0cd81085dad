"""`replay` as a command: Python's workflows, and a replayer of one's own."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
ORDERS = PROJECT / "tests" / "data" / "orders"
KILLED = ORDERS / "worker_dies_charging/sigkill/histories/order-killed.run-1.json"

CODE = '''
from datetime import timedelta
from temporalio import workflow

@workflow.defn(name="Order")
class Half:
    """Its patch comes too late for an order that was charged before."""

    @workflow.run
    async def run(self, order: dict) -> None:
        limit = timedelta(minutes=1)
        await workflow.execute_activity("charge_card", order, start_to_close_timeout=limit)
        if workflow.patched("discount"):
            self.discount += 1
        await workflow.execute_activity("ship_parcel", order, start_to_close_timeout=limit)
'''

REPLAYER = """
import json, sys
print("a log line")
print("[" * 100_000)
for line in iter(sys.stdin.readline, ""):
    name = line.strip()
    events = json.load(open(name))["events"]
    failure = "it is whole" if events[-1]["eventType"].endswith("EXECUTION_COMPLETED") else ""
    print(json.dumps({"file": name, "failure": failure}), flush=True)
"""


def _replay(
    *arguments: str | Path, cwd: Path, largest_file: int = resource.RLIM_INFINITY
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chaos", "replay", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file)),
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "code_of_today.py").write_text(CODE)
    (tmp_path / "replayer.py").write_text(REPLAYER)
    return tmp_path


def test_a_project_replays_with_what_its_target_names() -> None:
    done = _replay(ORDERS, cwd=PROJECT / "examples" / "orders")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 of 3 histories replay: 12 replays, 9 of them up to a workflow task" in done.stdout


def test_a_change_that_only_a_beginning_shows_is_found(project: Path) -> None:
    done = _replay("--workflows", "code_of_today:Half", KILLED, cwd=project)

    assert done.returncode == 1, done.stdout + done.stderr
    why = "AttributeError: 'Half' object has no attribute 'discount'"
    assert f"| order-killed | Order | 9, but not 17 (whole) | {why} |" in done.stdout
    assert "0 of 1 histories replay: 4 replays" in done.stdout


def test_another_language_replays_by_a_program(project: Path) -> None:
    done = _replay("--command", f"{sys.executable} replayer.py", ORDERS, cwd=project)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "| order-killed | Order | 17 (whole) | it is whole |" in done.stdout
    assert "0 of 3 histories replay: 12 replays" in done.stdout


def test_a_program_that_dies_is_no_verdict(project: Path) -> None:
    (project / "replayer.py").write_text("raise SystemExit('no such workflow')")

    done = _replay("--command", f"{sys.executable} replayer.py", KILLED, cwd=project)

    assert done.returncode == 2
    assert done.stderr == (
        "the replayer ended with exit code 1 at order-killed.run-1.json up to event 3, before it "
        "answered: no such workflow\n"
    )


def test_a_program_that_writes_one_endless_line_is_no_verdict(project: Path) -> None:
    (project / "replayer.py").write_text("while True: print('x' * 1_000_000, end='')")

    done = _replay("--command", f"{sys.executable} replayer.py", KILLED, cwd=project)

    assert done.returncode == 2
    assert done.stderr.startswith("the replayer wrote a line of more than 16 MB at order-killed")
    assert done.stderr.count("\n") == 1


def test_what_a_program_leaves_in_the_background_is_not_waited_for(project: Path) -> None:
    """As `dotnet run` leaves a build's server, which holds its output."""
    left = "import subprocess\nsubprocess.Popen(['sleep', '617'])\n"
    (project / "replayer.py").write_text(left + REPLAYER)

    done = _replay("--command", f"{sys.executable} replayer.py", KILLED, cwd=project)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "0 of 1 histories replay: 4 replays" in done.stdout
    assert done.stderr == ""


def test_a_full_disk_is_said_in_a_sentence(project: Path) -> None:
    command = ("--command", f"{sys.executable} replayer.py")

    done = _replay(*command, KILLED, cwd=project, largest_file=2_000)

    assert done.returncode == 2
    assert done.stderr.startswith("the folder for temporary files ")
    assert done.stderr.endswith("make room there, or name another by TMPDIR.\n")

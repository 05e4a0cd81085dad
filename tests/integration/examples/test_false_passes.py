"""What once passed and had shown nothing, run for real."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.process.programs import find_temporal_cli

PROJECT = Path(__file__).parents[3]
DEADLINE_SECONDS = 240

REASONS = {
    "kill_of_an_idle_worker": "names_a_proof: the case names no proof that its fault hit",
    "server_dies_when_all_is_done": "it hit nothing: kill at temporal-server met no work in flight",
    "pause_of_an_idle_worker": "it hit nothing: pause at worker-1 met no work in flight",
    "worker_dies_charging": "after the fault kill at worker-1 work went on after",
}


@pytest.mark.nightly
@pytest.mark.timeout(DEADLINE_SECONDS + 30)
def test_no_case_passes_whose_fault_hit_nothing_or_whose_promise_was_broken(tmp_path: Path) -> None:
    project = tmp_path / "orders"
    ignore = shutil.ignore_patterns("reports", "__pycache__", "test_*")
    shutil.copytree(PROJECT / "examples" / "orders", project, ignore=ignore)
    guest = Path(__file__).with_name("false_passes.py")
    shutil.copy(guest, project / "tests" / "test_false_passes.py")
    cli = find_temporal_cli(None, announce=print).path

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "chaos", "--chaos-plain"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "TEMPORAL_CLI": str(cli)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )

    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout + run.stderr
    results = json.loads((project / "reports" / "latest" / "results.json").read_bytes())
    (scenario,) = results["scenarios"]
    cases = {case["name"]: case for case in scenario["cases"]}
    assert cases.keys() == REASONS.keys()
    for name, reason in REASONS.items():
        # A recovery that is late on a machine that was busy meanwhile is unknown.
        assert cases[name]["verdict"] != "passed"
        assert reason in cases[name]["reason"]

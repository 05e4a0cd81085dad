"""Schedules serve a guest as they serve us: `examples/orders`, copied, in processes of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from chaos.faults import AtBoundary
from chaos.search.schedule import FILE, read_schedule
from tests.integration.command import chaos

FORGETFUL = f"{sys.executable} -m tests.forgetful_worker"
CHECK = "billed_at_most_expected"
pytestmark = [pytest.mark.nightly, pytest.mark.timeout(900)]


@pytest.mark.sample
def test_a_seed_of_a_guest_passes_and_is_judged_again(orders: Path, temporal_cli: Path) -> None:
    options = ("--seed", "1", "--duration", "15", "--workflows", "12")
    ended = chaos(orders, temporal_cli, "run", *options)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    (case,) = _cases(orders / "reports" / "latest")
    assert (case["name"], case["verdict"]) == ("seed_1", "passed")
    assert case["cost_usd"] == case["ideal_cost_usd"] == "81.60"
    again = chaos(orders, temporal_cli, "recheck", "reports/latest")
    assert again.returncode == 0, again.stdout + again.stderr


def test_a_planted_fault_that_a_lost_answer_brings_to_light_is_drawn_and_shrunk(
    orders: Path, temporal_cli: Path
) -> None:
    """Of the faults that this seed draws, three delay what the worker says again; one loses what
    the service has done.
    """
    options = ("--seed", "120", "--faults", "wire", "--duration", "10", "--workflows", "4")
    command = ("--worker-command", FORGETFUL)

    ended = chaos(orders, temporal_cli, "run", *options, *command)

    assert ended.returncode == 1, ended.stdout + ended.stderr
    run = (orders / "reports" / "latest").resolve()
    (case,) = _cases(run)
    assert CHECK in {check["check"] for check in case["checks"] if check["verdict"] == "failed"}
    shrunk = chaos(orders, temporal_cli, "shrink", str(run), "--runs", "24", *command)
    assert shrunk.returncode == 0, shrunk.stdout + shrunk.stderr
    replay = f"--replay={run / 'shrink' / FILE}"
    assert chaos(orders, temporal_cli, "run", replay, *command).returncode == 1
    (left,) = read_schedule(run / "shrink" / FILE).faults
    assert isinstance(left.fault, AtBoundary)
    assert (str(left.fault.boundary), left.fault.action) == ("call * answered 1", "drop")


def _cases(run: Path) -> list[dict[str, Any]]:
    results = json.loads((run / "results.json").read_bytes())
    return [case for scenario in results["scenarios"] for case in scenario["cases"]]

"""The services of `examples/orders` are broken in each way: orders survive it, and a worker whose
requests no service can recognize does not.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.command import chaos

FORGETFUL = f"{sys.executable} -m tests.forgetful_worker"
pytestmark = [pytest.mark.nightly, pytest.mark.timeout(400)]


def _run(orders: Path, cli: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """The exit code, what became of each case, and what was said."""
    ended = chaos(orders, cli, "run", "guide_broken_dependencies", "--guide", *arguments)
    results = json.loads((orders / "reports/latest/results.json").read_bytes())
    cases = {case["name"]: case for scenario in results["scenarios"] for case in scenario["cases"]}
    return ended.returncode, cases, ended.stdout + ended.stderr


def test_orders_survive_services_that_are_broken(orders: Path, temporal_cli: Path) -> None:
    code, cases, said = _run(orders, temporal_cli)

    assert code == 0, said
    assert len(cases) == 10
    assert {case["verdict"] for case in cases.values()} == {"passed"}
    figures = {f["name"]: f["value"] for f in cases["payments_errors"]["figures"]}
    assert figures["calls of charge_card that met it"] >= 1
    assert figures["most attempts of charge_card (of 5)"] >= 2
    hung = {f["name"]: f["value"] for f in cases["payments_paused"]["figures"]}
    assert 9 <= hung["longest unanswered call of charge_card (start-to-close 60 s)"] <= 20


def test_a_worker_whose_requests_are_new_each_time_is_found(
    orders: Path, temporal_cli: Path
) -> None:
    code, cases, said = _run(orders, temporal_cli, "--worker-command", FORGETFUL)

    assert code == 1, said
    for name in ("payments_paused", "carrier_paused"):
        failed = {c["check"] for c in cases[name]["checks"] if c["verdict"] == "failed"}
        assert failed == {"billed_at_most_expected"}

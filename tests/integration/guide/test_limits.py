"""The guide's scenarios about limits: a sound worker passes, and each planted mistake is seen."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.command import chaos

PLANTED = Path(__file__).with_name("planted_worker.py")
LOAD = "guide_downstream_load"
RATES = "guide_rate_limits"

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(600)]


@pytest.fixture
def orders(orders: Path) -> Path:
    """The example, with the planted worker among its tests."""
    shutil.copy(PLANTED, orders / "tests")
    return orders


def _ran(project: Path, cli: Path, scenario: str, mistake: str = "") -> Mapping[str, Any]:
    """Run it with a mistake, if any; the results of its cases by their names."""
    worker = f"{sys.executable} -m tests.planted_worker {mistake}"
    options = ("--worker-command", worker) if mistake else ()
    ended = chaos(project, cli, "run", scenario, "--guide", *options)
    assert ended.returncode == bool(mistake), ended.stdout + ended.stderr
    results = json.loads((project / "reports/latest/results.json").read_bytes())
    (found,) = results["scenarios"]
    return {case["name"]: case for case in found["cases"]}


def _failed(case: Mapping[str, Any]) -> set[str]:
    return {check["check"] for check in case["checks"] if check["verdict"] == "failed"}


def test_a_sound_worker_survives_services_that_take_less(orders: Path, temporal_cli: Path) -> None:
    cases = _ran(orders, temporal_cli, LOAD)
    assert {name: case["verdict"] for name, case in cases.items()} == dict.fromkeys(
        ("429", "503", "queue"), "passed"
    )
    assert all(case["figures"] for case in cases.values())


def test_a_sound_worker_is_only_slower_under_a_rate_limit(orders: Path, temporal_cli: Path) -> None:
    cases = _ran(orders, temporal_cli, RATES)
    assert {name: case["verdict"] for name, case in cases.items()} == {
        "wire": "passed",
        "server": "passed",
    }


@pytest.mark.parametrize(
    ("mistake", "check"),
    [
        ("final", "workflows_end_as_expected"),
        ("drops", "all_expected_is_billed"),
        ("hasty", "no_retry_storm"),
    ],
)
def test_what_a_worker_does_wrong_when_it_is_refused_is_seen(
    orders: Path, temporal_cli: Path, mistake: str, check: str
) -> None:
    cases = _ran(orders, temporal_cli, LOAD, mistake)
    assert {name for name, case in cases.items() if check in _failed(case)} == {"429", "503"}
    assert cases["queue"]["verdict"] != "failed", "nothing was refused there"


def test_timeouts_that_leave_no_time_to_report_are_seen(orders: Path, temporal_cli: Path) -> None:
    cases = _ran(orders, temporal_cli, RATES, "tight")
    assert any("workflows_end_as_expected" in _failed(case) for case in cases.values())

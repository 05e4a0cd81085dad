"""The guide's scenarios of workers, for a guest that knows nothing of them: `examples/orders`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.command import chaos

FORGETFUL = f"{sys.executable} -m tests.forgetful_worker"
PAID_TWICE = "billed_at_most_expected"
pytestmark = [pytest.mark.nightly, pytest.mark.timeout(900)]

MORTAL = '''
"""A worker that cannot be started any more once it has done some work, as one with a stale lock."""

import asyncio, sys
from pathlib import Path
from orders import activities, worker

LOCK = Path("stale.lock")
_ask = activities._ask

async def ask(*args, **kwargs):
    LOCK.touch()
    return await _ask(*args, **kwargs)

if __name__ == "__main__":
    if LOCK.exists():
        sys.exit("stale.lock exists: is another worker running?")
    activities._ask = ask
    asyncio.run(worker.main())
'''

HASTY = '''
"""What will not end is waited for no longer than it must be."""

from dataclasses import replace


def pytest_chaos_scenarios(scenarios):
    return [
        replace(each, cases=[replace(case, converge_deadline_seconds=5) for case in each.cases])
        for each in scenarios
    ]
'''


def _guide(project: Path, cli: Path, *arguments: str, expected: int) -> dict[str, dict[str, Any]]:
    """The cases of the run, by their scenario's name and their own."""
    ended = chaos(project, cli, "run", *arguments, "--guide")
    assert ended.returncode == expected, ended.stdout + ended.stderr
    results = json.loads((project / "reports" / "latest" / "results.json").read_bytes())
    return {
        f"{s['name']}/{case['name']}": case for s in results["scenarios"] for case in s["cases"]
    }


def _failed(case: dict[str, Any]) -> set[str]:
    return {check["check"] for check in case["checks"] if check["verdict"] == "failed"}


def _broken(case: dict[str, Any]) -> set[str]:
    return {check["check"] for check in case["checks"] if check["verdict"] != "passed"}


def _figures(case: dict[str, Any]) -> dict[str, float]:
    return {figure["name"]: figure["value"] for figure in case["figures"]}


@pytest.mark.sample
def test_all_workers_are_killed_and_the_backlog_drains(orders: Path, temporal_cli: Path) -> None:
    cases = _guide(orders, temporal_cli, "guide_kill_all_workers", expected=0)

    found = _figures(cases["guide_kill_all_workers/only"])
    # The five that came while nobody was there, at least. The activity that was lost is tried again
    # when workers are back, who may take it before it is counted.
    assert found["deepest backlog, workflow tasks"] >= 5
    assert "deepest backlog, activity tasks" in found
    assert found["workflows replayed by another worker"] >= 1
    assert found["schedule to start, workflow tasks, longest"] > found["drain time"]
    assert "drain time" in (orders / "reports" / "latest" / "report.html").read_text()
    again = chaos(orders, temporal_cli, "recheck", "reports/latest")
    assert again.returncode == 0, again.stdout + again.stderr


def test_workers_that_are_restarted_or_cut_off_lose_nothing(
    orders: Path, temporal_cli: Path
) -> None:
    names = ("guide_restart_some_workers", "guide_no_network")
    cases = _guide(orders, temporal_cli, *names, expected=0)

    found = _figures(cases["guide_restart_some_workers/only"])
    # Those that wait for an activity which is done, at least.
    assert found["restarts that hit work in flight"] >= 3
    assert found["activities completed, before the restarts"] > 0
    assert found["activities completed, during the restarts"] > 0
    for case in ("dropped", "refused"):
        assert "reconnect time" in _figures(cases[f"guide_no_network/{case}"])
    assert _figures(cases["guide_no_network/dropped"])["workflow tasks that timed out"] >= 1
    again = chaos(orders, temporal_cli, "recheck", "reports/latest")
    assert again.returncode == 0, again.stdout + again.stderr


def test_an_activity_that_is_not_idempotent_turns_each_of_them_red(
    orders: Path, temporal_cli: Path
) -> None:
    names = ("guide_kill_all_workers", "guide_restart_some_workers", "guide_no_network")
    cases = _guide(orders, temporal_cli, *names, "--worker-command", FORGETFUL, expected=1)

    assert len(cases) == 4
    assert [name for name, case in cases.items() if PAID_TWICE not in _failed(case)] == []


def test_workers_that_never_come_back_turn_it_red(orders: Path, temporal_cli: Path) -> None:
    (orders / "tests" / "mortal_worker.py").write_text(MORTAL)
    (orders / "conftest.py").write_text(HASTY)
    command = ("--worker-command", f"{sys.executable} -m tests.mortal_worker")

    cases = _guide(orders, temporal_cli, "guide_kill_all_workers", *command, expected=1)

    (case,) = cases.values()
    assert case["verdict"] == "failed"
    assert "no_unplanned_exit" in _failed(case)
    # On a busy machine what is still open may only be late.
    assert {"workflows_end_as_expected", "backlog_drains"} <= _broken(case)

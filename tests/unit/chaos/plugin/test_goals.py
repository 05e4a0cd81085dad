"""The exit code of a run whose goals were not all met."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from chaos import plugin
from chaos.invariants.goals import GoalResult
from tests.unit.chaos.report.made_runs import a_run, a_scenario

UNMET = GoalResult(name="an order was refunded", met=False)


def _exit(status: pytest.ExitCode, *goals: GoalResult, has_results: bool = True) -> int:
    outcome = a_run(a_scenario(), goals=goals) if has_results else None
    stash = {plugin._RUNNER: SimpleNamespace(outcome=outcome)}
    session: Any = SimpleNamespace(config=SimpleNamespace(stash=stash), exitstatus=status)
    plugin.pytest_sessionfinish(session)
    return int(session.exitstatus)


def test_a_goal_that_was_never_met_is_no_success() -> None:
    assert _exit(pytest.ExitCode.OK, UNMET) == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize("status", [pytest.ExitCode.INTERRUPTED, pytest.ExitCode.USAGE_ERROR])
def test_a_worse_end_stays(status: pytest.ExitCode) -> None:
    assert _exit(status, UNMET) == status


def test_otherwise_it_is_a_success() -> None:
    assert _exit(pytest.ExitCode.OK) == pytest.ExitCode.OK
    assert _exit(pytest.ExitCode.OK, UNMET.model_copy(update={"met": True})) == 0
    assert _exit(pytest.ExitCode.OK, UNMET, has_results=False) == 0


def test_where_no_scenario_ran_nothing_is_asked() -> None:
    session: Any = SimpleNamespace(config=SimpleNamespace(stash={}), exitstatus=0)
    plugin.pytest_sessionfinish(session)
    assert session.exitstatus == 0

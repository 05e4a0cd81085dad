"""The command that makes a run, or a part of it, once more."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from chaos.environment.temporal import Topology
from chaos.evidence.bills import Mode
from chaos.experiment.results import RunResult
from chaos.invariants.verdict import Verdict
from chaos.plugin.options import DEFAULT_WORKFLOWS

_LOADED = "concurrency"
"""The scenario whose number of workflows may be chosen."""


def again(result: RunResult, names: Sequence[str] = ()) -> str:
    """For a shell: these scenarios, or all of them, with whatever options a run has on record."""
    command = ["pytest", "-m", "chaos"]
    if result.seed is not None:
        command.append(f"--replay=reports/{result.run_id}")
    elif names:
        command += ["-k", " or ".join(names)]
    if (workflows := _workflows(result, names)) != DEFAULT_WORKFLOWS:
        command += ["--workflows", str(workflows)]
    if result.topology is not Topology.DEV:
        command += ["--topology", result.topology]
    if result.mode is Mode.LIVE:
        command.append("--live")
        command += ["--budget", str(result.budget_usd)] if result.budget_usd else []
    return shlex.join(command)


def _workflows(result: RunResult, names: Sequence[str]) -> int:
    """How many it was told to start at once; its schedules know their own number."""
    loads = [
        case.load.workflows
        for scenario in result.scenarios
        if scenario.name == _LOADED and scenario.name in (names or [_LOADED])
        for case in scenario.cases
        if case.load
    ]
    return max(loads, default=DEFAULT_WORKFLOWS)


def not_passed(result: RunResult) -> list[str]:
    """The names of the scenarios that ran and did not pass."""
    return [s.name for s in result.scenarios if s.verdict is not Verdict.PASSED]

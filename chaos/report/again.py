"""The command that makes a run, or a part of it, once more."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from chaos.environment.temporal import Topology
from chaos.evidence.bills import Mode
from chaos.experiment.lab import Options
from chaos.experiment.results import RunResult
from chaos.invariants.verdict import Verdict

PROGRAM = ("python", "-m", "chaos")
"""It is there wherever the harness is, and takes the same options in everybody's project."""


def again(result: RunResult, names: Sequence[str] = ()) -> str:
    """For a shell: these scenarios, or all of them, with whatever options a run has on record."""
    command = [*PROGRAM, "run"]
    if result.seed is not None:
        command.append(f"--replay=reports/{result.run_id}")
    else:
        command += names
        chosen = result.workflows not in {None, Options().workflows}
        command += ["--workflows", str(result.workflows)] if chosen else []
    if result.topology is not Topology.DEV:
        command += ["--topology", result.topology]
    if result.mode is Mode.LIVE:
        command.append("--live")
        command += ["--budget", str(result.budget_usd)] if result.budget_usd else []
    return shlex.join(command)


def not_passed(result: RunResult) -> list[str]:
    """The names of the scenarios that ran and did not pass."""
    return [s.name for s in result.scenarios if s.verdict is not Verdict.PASSED]

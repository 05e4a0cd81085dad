"""The commands that bring something of a run back: run again, drawn again, or judged again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos.environment.temporal import Topology
from chaos.evidence.bills import Mode
from chaos.experiment.lab import Options
from chaos.experiment.results import CaseResult, RunResult, ScenarioResult
from chaos.guide.heading import is_of_the_guide
from chaos.invariants.verdict import Verdict
from chaos.report.evidence import evidence_folder
from chaos.search.schedule import FILE, ScheduleError, read_schedule

PROGRAM = ("python", "-m", "chaos")
"""It is there wherever the harness is, and takes the same options in everybody's project."""


def again(result: RunResult, names: Sequence[str] = ()) -> str:
    """For a shell: these scenarios, or all of them, with whatever options a run has on record."""
    command = [*PROGRAM, "run"]
    if result.seed is not None:
        command.append(f"--replay=reports/{result.run_id}")
    else:
        command += names
        command += ["--guide"] if any(is_of_the_guide(s.name) for s in result.scenarios) else []
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


@dataclass(frozen=True)
class Command:
    """What to type, and what it does."""

    text: str
    purpose: str


@dataclass(frozen=True)
class Commands:
    """Those of a run whose results and evidence are in a folder."""

    run: RunResult
    folder: Path

    def of_all(self) -> Command:
        """How to run all of it again."""
        return Command(self._located(self.folder), "runs all of it again")

    def of(self, scenario: ScenarioResult) -> tuple[Command, ...]:
        """Of a scenario, the most useful first."""
        return tuple(self._of(scenario))

    def _of(self, scenario: ScenarioResult) -> Iterator[Command]:
        yield Command(self._scenario(scenario), "runs this scenario again")
        if self.run.seed is not None and scenario.verdict is not Verdict.PASSED:
            line = f"python -m chaos shrink {_shown(self.folder)}"
            yield Command(line, "removes faults and workflows while the same check still fails")
        line = f"python -m chaos recheck {_shown(self.folder)}"
        yield Command(line, "judges the evidence by today's code, without a run")

    def _scenario(self, scenario: ScenarioResult) -> str:
        if self.run.seed is not None:
            return self._located(self.folder)
        return again(self.run, [scenario.name])

    def of_case(self, scenario: ScenarioResult, case: CaseResult) -> tuple[Command, ...]:
        """Of a schedule from a seed: the very same, or drawn again. Of any other case none."""
        file = evidence_folder(self.folder, scenario.name, case.name) / FILE
        if not file.is_file():
            return ()
        same = Command(self._located(file), "the same faults, at the same times")
        try:
            drawn = read_schedule(file)
        except ScheduleError:
            return (same,)
        if drawn.part is not None:
            return (same,)
        options = (
            f"--seed {drawn.seed} --faults {','.join(drawn.families)} "
            f"--duration {drawn.duration_seconds:g} --workflows {len(drawn.starts)}"
        )
        return (same, Command(self._with(options), "drawn again from its seed"))

    def _located(self, replayed: Path) -> str:
        """The command for the whole run; where it replays schedules, those that are here."""
        return self._with(f"--replay={_shown(replayed)}")

    def _with(self, options: str) -> str:
        words = shlex.split(again(self.run))
        return " ".join(options if w.startswith("--replay=") else shlex.quote(w) for w in words)


def _shown(path: Path) -> str:
    """A path as one types it from where the run was started."""
    path, here = path.absolute(), Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))

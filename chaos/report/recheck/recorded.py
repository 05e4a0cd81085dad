"""What `results.json` says, as far as a recheck asks: what had run, and what was found then.

Less than `chaos/experiment/results.py` writes, so that runs of older versions can be judged again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, Field

from chaos.environment.temporal import Topology
from chaos.evidence.bills import Mode, Usd
from chaos.experiment.reading import ReadingError, read_as
from chaos.experiment.results import CheckResult, Count, NotRun, Result, Seconds
from chaos.invariants.verdict import Verdict


class RecheckError(Exception):
    """The run cannot be judged again. One sentence: what happened and what to do."""


class RecordedCase(Result):
    """One case; figures that older versions did not write are None."""

    name: str
    verdict: Verdict
    control: bool = False
    duration_s: Seconds = 0.0
    cost_usd: Usd | None = None
    ideal_cost_usd: Usd | None = None
    waste_usd: Usd | None = None
    billed: dict[str, Count] | None = None
    checks: tuple[CheckResult, ...] = ()


class RecordedScenario(Result):
    """One row of the table."""

    number: int
    name: str
    title: str
    verdict: Verdict
    cases: tuple[RecordedCase, ...] = ()


class RecordedRun(Result):
    """The whole run."""

    schema_version: Literal[1] = Field(alias="schema")
    run_id: str
    started_at: AwareDatetime
    mode: Mode = Mode.MOCKED
    topology: Topology = Topology.DEV
    versions: Mapping[str, str] = {}
    scenarios: tuple[RecordedScenario, ...]
    not_run: tuple[NotRun, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether all of it had passed."""
        verdicts = [case.verdict for scenario in self.scenarios for case in scenario.cases]
        verdicts += [scenario.verdict for scenario in self.scenarios]
        return set(verdicts) == {Verdict.PASSED}


def read_results(folder: Path) -> RecordedRun:
    """Read a run's `results.json`. Raises RecheckError where there is none that can be read."""
    try:
        return read_as(RecordedRun, folder)
    except ReadingError as error:
        raise RecheckError(str(error)) from None

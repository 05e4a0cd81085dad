"""Judges a run again, by today's code and by nothing but the evidence that the run has left.

`results.json` only says what there should be and what was found then: no verdict is taken from it.
The one exception is the search for the user's own secrets, which are kept nowhere: what it found
then stands, and is marked as not repeated.

No process is started and no connection opened; nothing is written but by `write_recheck`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from chaos.experiment.reading import read_run
from chaos.experiment.results import Overall, RunResult, coverage_of, goals_of
from chaos.experiment.scenario import Scenario
from chaos.invariants.verdict import Verdict
from chaos.report.recheck.compare import Recheck, differences, not_repeated, notes
from chaos.report.recheck.judging import Judging, case_folders
from chaos.report.recheck.show import terminal_lines, write_recheck

__all__ = ["Recheck", "recheck", "terminal_lines", "write_recheck"]


def recheck(folder: Path, catalogue: Sequence[Scenario]) -> Recheck:
    """Judge the run in a folder again. Raises ReadingError where the folder is not a run's."""
    recorded = read_run(folder)
    folders = case_folders(folder)
    now = Judging(folder, recorded, catalogue, folders).scenarios()
    names = {scenario.name for scenario in now}
    passed = [scenario.verdict is Verdict.PASSED for scenario in now]
    not_run = tuple(each for each in recorded.not_run if each.name not in names)
    result = RunResult(
        run_id=recorded.run_id,
        started_at=recorded.started_at,
        mode=recorded.mode,
        topology=recorded.topology,
        versions=dict(recorded.versions),
        scenarios=tuple(now),
        not_run=not_run,
        coverage=coverage_of(now),
        goals=goals_of(now),
        overall=Overall(passed=sum(passed), total=len(passed), not_run=len(not_run)),
    )
    return Recheck(
        passed=result.verdict is Verdict.PASSED,
        recorded_passed={*_verdicts(recorded)} == {Verdict.PASSED} and not recorded.unmet,
        differences=tuple(differences(recorded, now)),
        notes=tuple(notes(recorded, now, folders)),
        not_repeated=tuple(not_repeated(now)),
        result=result,
    )


def _verdicts(run: RunResult) -> Iterator[Verdict]:
    for scenario in run.scenarios:
        yield scenario.verdict
        yield from (case.verdict for case in scenario.cases)

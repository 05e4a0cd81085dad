"""`python -m chaos shrink RUN`: find a shorter schedule that fails as one of a run did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chaos.environment.provision import Choice
from chaos.environment.target import Target
from chaos.experiment.lab import Options
from chaos.experiment.reading import ReadingError, read_run
from chaos.experiment.results import CaseResult
from chaos.experiment.runner import RunError, Runner
from chaos.invariants.verdict import Verdict
from chaos.search.ddmin import Shrinking
from chaos.search.load import load_of
from chaos.search.schedule import FILE, Schedule, ScheduleError, read_schedule
from chaos.search.seeded import AT_ONCE, NAME, seeded

FOLDER = "shrink"
"""Beside the evidence of the run: the runs that the search made, and what it found."""


class ShrinkError(Exception):
    """There is nothing to shrink. One sentence: why, and what to do."""


@dataclass(frozen=True)
class Shrunk:
    """What was found: `file` is the shorter schedule, which `--replay` takes."""

    before: Schedule
    after: Schedule
    tried: int
    file: Path


@dataclass(frozen=True)
class Means:
    """With what schedules of which target are run, and how many at most. `worker_argv` is the
    user's own program in place of the target's.
    """

    target: Target
    most_runs: int
    say: Callable[[str], None]
    choice: Choice = field(default_factory=Choice)
    worker_argv: Sequence[str] = ()


def shrink(run: Path, means: Means, *, case: str | None = None) -> Shrunk:
    """Shrink the first schedule of a run that failed, or the one of a named case.

    Raises ShrinkError, and RunError where nothing can be run here.
    """
    run = run.resolve()  # processes have folders of their own, and `latest` may move meanwhile
    failed = _failed_case(run, case)
    checks = {check.check for check in failed.checks if check.verdict is Verdict.FAILED}
    schedule = _schedule(run, failed.name)
    folder = run / FOLDER
    means.say(f"{failed.name} failed: {', '.join(sorted(checks))}")

    def fails(schedules: Sequence[Schedule]) -> Sequence[bool]:
        runner = Runner(
            chosen=(seeded(_numbered(schedules), means.target),),
            choice=means.choice,
            options=Options(),
            reports=folder,
            worker_argv=means.worker_argv,
        )
        return [bool(checks & _failed_checks(found)) for found in _cases(runner)]

    try:
        load_of(schedule, means.target)
    except ScheduleError as error:
        raise ShrinkError(str(error)) from None
    search = Shrinking(run=fails, most_runs=means.most_runs, at_once=AT_ONCE, say=means.say)
    after = search.shrink(schedule)
    folder.mkdir(exist_ok=True)
    after.write(folder)
    return Shrunk(before=schedule, after=after, tried=search.tried, file=folder / FILE)


def _numbered(schedules: Sequence[Schedule]) -> list[Schedule]:
    """Candidates of one seed would share the name of their cases, and so a folder."""
    return [
        schedule.model_copy(update={"part": number})
        for number, schedule in enumerate(schedules, start=1)
    ]


def _cases(runner: Runner) -> Sequence[CaseResult]:
    """Run and judge them. Raises RunError."""
    try:
        runner.start()
        if runner.missing:
            raise RunError(runner.missing)
        return runner.result(runner.scenarios[0]).cases
    finally:
        runner.stop()


def _failed_checks(case: CaseResult) -> set[str]:
    return {check.check for check in case.checks if check.verdict is Verdict.FAILED}


def _failed_case(run: Path, name: str | None) -> CaseResult:
    try:
        recorded = read_run(run)
    except ReadingError as error:
        raise ShrinkError(str(error)) from None
    cases = [case for s in recorded.scenarios if s.name == NAME for case in s.cases]
    if not cases:
        raise ShrinkError(f"{run} has no seeded schedule: make a run with --seed first.")
    failed = [case for case in cases if case.verdict is Verdict.FAILED]
    wanted = [case for case in failed if name in {None, case.name}]
    if not wanted:
        names = ", ".join(case.name for case in failed)
        what = f"the cases that failed are {names}" if names else "no schedule of it failed"
        raise ShrinkError(f"there is nothing to shrink in {run}: {what}.")
    return wanted[0]


def _schedule(run: Path, case: str) -> Schedule:
    try:
        schedule = read_schedule(run / NAME / case / FILE)
    except ScheduleError as error:
        raise ShrinkError(str(error)) from None
    return schedule.model_copy(update={"part": None})
